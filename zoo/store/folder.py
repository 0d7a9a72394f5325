"""Registries in folders of this machine: `file:///folder`, or a plain path."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from zoo.errors import AlreadyThere, FetchError, InvalidValue, NotFound
from zoo.files import locked, sync_folder, without_waiting
from zoo.store.pieces import Pieces
from zoo.transports import Body

_PIECE = 2**20
_LONGEST_CLAIM = 5.0  # seconds
_LONGEST_WRITE = 24 * 3600.0


class FolderPlace:
    """The files below a folder.

    Args:
        base: The folder, as a path or a `file://` address.

    Raises:
        InvalidValue: The address is one of another machine.
    """

    def __init__(self, base: str) -> None:
        self.root = folder_of(base)

    def open(self, path: str, *, start: int = 0, validator: str | None = None) -> Body:
        """Open a file to read from byte `start` on; from its beginning if it is no longer that of `validator`."""
        where = self._below(path)
        try:
            file = open(where, "rb", buffering=0, opener=without_waiting)  # noqa: SIM115 - Pieces closes it
        except FileNotFoundError:
            raise NotFound(f"There is no {where}.") from None
        except OSError as error:
            raise _failure(where, "read", error) from error
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            file.close()
            raise FetchError(f"{where} is no file.")
        current = _validator(found)
        begin = start if start <= found.st_size and validator in (None, current) else 0
        pieces = Pieces(_pieces(file, where, begin), file.close)
        return Body(pieces, begin, found.st_size, current)

    def create(self, path: str, content: bytes) -> None:
        """Write a file that is not there yet, whole or not at all."""
        target = self._below(path)
        mode = 0o444 if path.startswith("blobs/") else 0o666
        with _new_file(target, content, mode) as temporary:
            try:
                os.link(temporary, target)  # unlike a rename it never takes another's place
            except FileExistsError:
                raise AlreadyThere(f"{target} is there already; it is left as it is.") from None
            except OSError as error:
                raise _failure(target, "written", error) from error
        _keep(target)

    def replace(self, path: str, content: bytes, *, validator: str) -> None:
        """Write a file in place of the one with that validator, whole or not at all.

        Of several at once one goes on: who could give its file a second name that only one file can have. The lock
        on the folder lets them take turns where locks work; nothing rests on it.
        """
        target = self._below(path)
        with (
            _new_file(target, content) as temporary,
            locked(target.parent),
            _claimed(temporary, target) as claim,
        ):
            try:
                # Last of all: one who was too slow has lost the claim to another.
                unchanged = _validator(target.stat()) == validator and claim.samefile(temporary)
                if unchanged:
                    os.replace(temporary, target)
            except FileNotFoundError:
                unchanged = False
            except OSError as error:
                raise _failure(target, "written", error) from error
        if not unchanged:
            raise AlreadyThere(f"{target} was changed meanwhile; it is left as it is.")
        _keep(target)

    def check_writable(self, path: str) -> None:
        """See that a file could be written, by one without a name that nothing is left of.

        Raises:
            FetchError: It could not.
        """
        target = self._below(path)
        try:
            folder = next(parent for parent in target.parents if parent.exists())
            with TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise _failure(target, "written", error) from error

    def _below(self, path: str) -> Path:
        parts = path.split("/")
        if not path or any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise InvalidValue(f"{path!r:.120} is no path of a registry.")
        return self.root.joinpath(*parts)


def folder_of(base: str) -> Path:
    """The folder that a path or a `file://` address names.

    Raises:
        InvalidValue: The address is one of another machine, or of another form.
    """
    if "://" not in base:
        return Path(base).expanduser()
    address = urlsplit(base)
    if address.scheme != "file" or address.netloc not in ("", "localhost") or not address.path:
        raise InvalidValue(f"{base!r:.200} names no folder; write file:///folder, or its path.")
    return Path(unquote(address.path))


def _validator(found: os.stat_result) -> str:
    return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"


def _pieces(file: BinaryIO, where: Path, begin: int) -> Iterator[bytes]:
    try:
        file.seek(begin)
        while piece := file.read(_PIECE):
            yield piece
    except OSError as error:
        raise _failure(where, "read", error) from error


def _keep(target: Path) -> None:
    """Make a file that is in its place survive a loss of power."""
    try:
        sync_folder(target.parent)
    except OSError as error:
        raise FetchError(
            f"{target} is written, but may be gone after a loss of power: its folder cannot be synced "
            f"({error.strerror or error}). Look after the disk."
        ) from error


@contextmanager
def _new_file(target: Path, content: bytes, mode: int = 0o666) -> Iterator[Path]:
    """A temporary file beside `target` with that content, on the disk; deleted at the end if it is still there."""
    temporary = target.parent / f".{target.name}.{os.urandom(8).hex()}.tmp"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except OSError as error:
        raise _failure(target, "written", error) from error
    try:
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _clear_leftovers(target, temporary)
        except OSError as error:
            raise _failure(target, "written", error) from error
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink()


def _clear_leftovers(target: Path, temporary: Path) -> None:
    """Delete what was left behind by writers of the same file that were killed."""
    now = temporary.stat().st_ctime  # by the clock of the file system
    for other in target.parent.glob(f".{target.name}.*.tmp"):
        with suppress(OSError):
            if now - other.stat().st_ctime > _LONGEST_WRITE:
                other.unlink()


@contextmanager
def _claimed(temporary: Path, target: Path) -> Iterator[Path]:
    claim = target.with_name(f".{target.name}.claim")
    try:
        if _is_left_behind(claim, temporary):
            claim.unlink(missing_ok=True)
        os.link(temporary, claim)
    except FileExistsError:
        raise AlreadyThere(f"{target} is being changed by somebody else.") from None
    except OSError as error:
        raise _failure(target, "written", error) from error
    own = temporary.stat()
    try:
        yield claim
    finally:
        with suppress(OSError):
            if os.path.samestat(claim.stat(), own):
                claim.unlink()


def _is_left_behind(claim: Path, temporary: Path) -> bool:
    """Whether a claim is so old that its process must have died: holding it takes milliseconds."""
    os.utime(temporary)  # now, by the clock of the file system
    try:
        return temporary.stat().st_ctime - claim.lstat().st_ctime > _LONGEST_CLAIM
    except FileNotFoundError:
        return False


def _failure(path: Path, what: str, error: OSError) -> FetchError:
    return FetchError(f"{path} cannot be {what}: {error.strerror or error}.")

"""Downloads that are not finished: each process writes a file of its own, and may begin with a copy of another's.

So no process ever writes where another does, and none needs a lock to be right. The lock there is makes
processes that want the same blob wait for each other, to save bandwidth; where it does not work they all fetch.
What earlier processes left is deleted by its age and never because its owner seems to be gone.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from zoo.errors import DigestMismatch, FetchError, NotFound, Unavailable
from zoo.store.cache import Cache, cannot_write
from zoo.store.hashing import BackgroundSha256
from zoo.transports import Body

_PIECE = 2**20
_POLL = 0.1  # seconds between two looks at a lock
_ABANDONED = 3600  # seconds: a download that is alive writes much more often


class Partial:
    """A file of this process alone that is becoming a blob.

    Args:
        cache: Where it is made.
        sha256: The digest that it must come to.
        size: The size that it must come to, in bytes.

    Attributes:
        done: How many bytes it has.
        borrowed: Whether they are not all from one answer, so that they may not fit together.
        validator: What the place said of the file that they are from.

    Raises:
        FetchError: The cache cannot be written to.
    """

    def __init__(self, cache: Cache, sha256: str, size: int) -> None:
        self.sha256, self.size, self._cache = sha256, size, cache
        self._source: Path | None = None
        self._create()
        self._digest = BackgroundSha256()
        self.start_over()

    def _create(self) -> None:
        folder = self._cache.partial_folder
        self.path = folder / f"{self.sha256}.{os.urandom(8).hex()}.part"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, flags, 0o444)  # the mode is for those who open it later
        except OSError as error:
            raise cannot_write(self._cache.root, error) from error

    def start_over(self) -> None:
        """Forget all bytes."""
        self._digest.reset()
        self.done = self._copied = 0
        self.borrowed = False
        self.validator: str | None = None
        try:
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
        except OSError as error:
            raise cannot_write(self._cache.root, error) from error

    def continue_with(self, body: Body) -> None:
        """Get ready for the bytes of an answer, which begin at the end of these or at the very beginning.

        Raises:
            FetchError: They begin elsewhere.
            Unavailable: They are of another file than these, which are forgotten.
        """
        if body.start not in (0, self.done):
            raise FetchError(
                f"sha256:{self.sha256} was asked for from byte {self.done} on and came from byte {body.start} on."
            )
        if body.start == 0:
            self.start_over()
        elif None not in (self.validator, body.validator) and body.validator != self.validator:
            self.start_over()
            raise Unavailable(f"sha256:{self.sha256} was changed while it was fetched.")
        self.borrowed = self.done > 0
        self.validator = body.validator

    def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            FetchError: The disk is full, or the cache cannot be written to.
        """
        rest = memoryview(chunk)
        self._digest.update(chunk)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise cannot_write(self._cache.root, error) from error
        self.done += len(chunk)

    def copy_older(self) -> None:
        """Begin with the bytes of the longest unfinished file of the same blob, if there is one."""
        older = [
            (found.st_size, path)
            for path, found in self._others()
            if 0 < found.st_size <= self.size  # a longer one belongs to no blob of this size
        ]
        if not older:
            return
        self._source = max(older)[1]
        with suppress(OSError), open(self._source, "rb", buffering=0, opener=_own) as file:
            self._copy(file)
        self._copied, self.borrowed = self.done, self.done > 0

    def _copy(self, file: FileIO) -> None:
        while piece := file.read(min(_PIECE, self.size - self.done)):
            self.write(piece)

    def is_right(self) -> bool:
        """Whether the bytes are those of the blob: so many, with that digest."""
        return self.done == self.size and self._digest.hexdigest() == self.sha256

    def refuse(self, source: str) -> None:
        """Forget bytes that make another file than the blob, so that nobody begins with them again.

        Raises:
            DigestMismatch: They all came from one answer: to ask again would bring the same.
        """
        found, borrowed = self._digest.hexdigest(), self.borrowed
        if borrowed and self._source is not None:
            with suppress(OSError):
                self._source.unlink()
        self.start_over()
        if not borrowed:
            raise DigestMismatch(
                f"{source} gives {self.size} bytes with sha256 {found}; published were bytes with sha256 "
                f"{self.sha256}. Nothing was kept. Tell whoever keeps that registry, or fetch from another mirror."
            )

    def finish(self) -> Path:
        """Put the file in the cache as the blob that it is, and return its place there.

        Raises:
            Unavailable: Somebody deleted it meanwhile. There is a copy now; finish again.
            FetchError: The cache cannot be written to.
        """
        try:
            os.fsync(self._file)
            path = self._cache.add(self.path, self.sha256)
        except NotFound as error:  # by its age, on a clock that is wrong
            self._rescue()
            raise Unavailable(str(error)) from error
        except OSError as error:
            raise cannot_write(self._cache.root, error) from error
        self._delete_abandoned()
        return path

    def _rescue(self) -> None:
        """Begin another file with the bytes of this one, which has lost its name but is still open."""
        with open(self._file, "rb", buffering=0) as nameless:
            self._create()
            self.start_over()
            nameless.seek(0)
            self._copy(nameless)

    def close(self) -> None:
        """Close the file. It stays for a later process to begin with if it holds more than there was before."""
        self._digest.close()
        with suppress(OSError):  # it is closed already where the disk was too full for a copy
            os.close(self._file)
        if self.done <= self._copied:
            self.delete()

    def delete(self) -> None:
        """Delete the file, to leave nothing behind."""
        with suppress(OSError):
            self.path.unlink()

    def _others(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._cache.partial_folder.glob(f"{self.sha256}.*.part"):
            with suppress(OSError):
                found = path.lstat()
                if path != self.path and stat.S_ISREG(found.st_mode):
                    yield path, found

    def _delete_abandoned(self) -> None:
        now = time.time()
        for path, found in self._others():
            if now - found.st_mtime > _ABANDONED:
                with suppress(OSError):
                    path.unlink()


@contextmanager
def turn(
    cache: Cache, sha256: str, *, has_come: Callable[[], bool], stuck: float
) -> Iterator[None]:
    """Wait until no other process of this machine fetches the blob; or it `has_come`; or the other one is stuck.

    Args:
        cache: The cache that both write to.
        sha256: The digest of the blob.
        has_come: Whether the blob is there.
        stuck: After so many seconds in which no unfinished file of that blob grew, wait no longer.
    """
    handle = _open_lock(cache.partial_folder / f"{sha256}.lock")
    if handle is None:
        yield
        return
    try:
        grown, since = -1, time.monotonic()
        while not _taken(handle) and not has_come():
            size = sum(_size(path) for path in cache.partial_folder.glob(f"{sha256}.*.part"))
            if size != grown:
                grown, since = size, time.monotonic()
            elif time.monotonic() - since > stuck:
                break
            time.sleep(_POLL)
        yield
    finally:
        os.close(handle)


def _open_lock(path: Path) -> int | None:
    """The lock's file, open; None where none can be had: then everybody fetches."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Read-only is enough for a lock, and lets two users share one.
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError:
        return None


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nothing to wait for
        return True
    return True


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _own(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)

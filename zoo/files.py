"""Reading and writing files whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from zoo.errors import InvalidValue, WeightsError

# What file systems say that cannot sync a folder, and need not.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)
# Characters of a name that its temporary file begins with: names have at most 255 bytes.
_BEGIN = 40
_RESERVATION = ".reserved"


def read_whole(path: Path, *, limit: int | None = None) -> bytearray:
    """Return the bytes of a file.

    Raises:
        WeightsError: It cannot be read, or is larger than `limit` bytes.
    """
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            raise WeightsError(f"{path} has {size} bytes; expected at most {limit}.")
        return read_exactly(file, size, str(path))


def open_to_read(path: Path) -> FileIO:
    """Open a file that is one: no folder, and no pipe or device, which may never end.

    Raises:
        WeightsError: It is none, or cannot be read.
    """
    try:
        file = open(path, "rb", buffering=0, opener=without_waiting)  # noqa: SIM115 - the caller closes it
    except (OSError, ValueError) as error:  # such as a name with a null character
        why = getattr(error, "strerror", None) or error
        raise WeightsError(f"{path} cannot be read: {why}.") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise WeightsError(f"{path} cannot be read: it is a pipe or a device, and no file.")
    return file


def read_exactly(file: FileIO, size: int, source: str) -> bytearray:
    """Return the next `size` bytes of a file.

    Raises:
        WeightsError: There are fewer, they cannot be read, or there is no memory for them.
    """
    try:
        content = bytearray(size)
    except MemoryError:
        raise WeightsError(f"{source}: there is no memory for its {size} bytes.") from None
    fill(memoryview(content), file, source)
    return content


def fill(memory: memoryview, file: FileIO, source: str) -> None:
    """Fill memory with the next bytes of a file.

    Raises:
        WeightsError: There are fewer, or they cannot be read.
    """
    read = 0
    try:
        while read < len(memory) and (count := file.readinto(memory[read:])):
            read += count
    except OSError as error:
        raise WeightsError(f"{source} cannot be read: {error.strerror or error}.") from None
    if read != len(memory):
        raise WeightsError(
            f"{source} became shorter while it was read: {read} of {len(memory)} bytes."
        )


def write_atomically(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file so that at every moment the old one or the new one is there, whole.

    Args:
        path: Where to; its folder must exist.
        content: The bytes.
        mode: Permissions, of which the umask takes its share.

    Raises:
        InvalidValue: The folder does not exist or cannot be written to, or it is no file, and nothing is left
            behind; or the file is there, but the disk does not say that its name will stay. The message says
            which.
    """
    # Of os.path, which take what cannot be asked for what is not there.
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise InvalidValue(f"{path} cannot be written: it is a pipe or a device, and no file.")
    temporary = path.parent / f".{path.name[:_BEGIN]}.{os.urandom(8).hex()}.tmp"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, ValueError) as error:  # such as a name with a null character
        why = getattr(error, "strerror", None) or error
        raise InvalidValue(f"{path} cannot be written: {why}.") from error
    finally:
        with suppress(OSError, ValueError):
            os.unlink(temporary)
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise InvalidValue(
            f"{path} is written, but may be the old one again after a loss of power: its folder cannot be "
            f"synced ({error.strerror or error}). Look after the disk, and write it again."
        ) from error


def sync_folder(folder: Path) -> None:
    """Make what was named in a folder survive a loss of power, where the file system can.

    Raises:
        OSError: The disk refuses.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # it can be written to and not be read; nobody can sync it then
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let those who change files of a folder, or what a file stands for, take turns, where it can be locked."""
    handle = None
    with suppress(OSError):  # what cannot be opened, or a file system without locks
        # NFS locks what is opened for writing alone, which a folder cannot be.
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def reserved(folder: Path) -> Iterator[bool]:
    """Keep a folder that is there from others who ask in the same way, where files can be locked.

    A file in it is locked, as folders cannot be on NFS; it is removed in the end.

    Yields:
        Whether nobody else has it.
    """
    path, handle, free = folder / _RESERVATION, None, True
    try:
        # Whoever had it removed the file while it was waited for, and somebody else may have made another.
        while handle is None or not _is_open_as(handle, path):
            if handle is not None:
                os.close(handle)
                handle = None
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        free = False
    except OSError:  # as in `locked`
        pass
    try:
        yield free
    finally:
        if handle is not None:
            if free:
                with suppress(OSError):
                    os.unlink(path)
            os.close(handle)


def _is_open_as(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def without_waiting(path: str, flags: int) -> int:
    """Open, as `open` asks of an opener: a pipe in place of a file would be waited for, for ever."""
    return os.open(path, flags | os.O_NONBLOCK)

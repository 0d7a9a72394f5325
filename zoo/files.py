"""Reading and writing files whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from zoo.errors import InvalidValue, WeightsError


def read_whole(path: Path, *, limit: int | None = None) -> bytearray:
    """Return the bytes of a file, in memory that tensors may share.

    Raises:
        WeightsError: It cannot be read, or is larger than `limit` bytes.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if limit is not None and size > limit:
                raise WeightsError(f"{path} has {size} bytes; expected at most {limit}.")
            content = bytearray(size)
            view = memoryview(content)
            read = 0
            while read < size and (count := file.readinto(view[read:])):
                read += count
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from None
    if read != size:
        raise WeightsError(f"{path} became shorter while it was read: {read} of {size} bytes.")
    return content


def write_atomically(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file so that at every moment the old one or the new one is there, whole.

    Args:
        path: Where to; its folder must exist.
        content: The bytes.
        mode: Permissions, of which the umask takes its share.

    Raises:
        InvalidValue: The folder does not exist or cannot be written to. Nothing is left behind.
    """
    temporary = path.parent / f".{path.name}.{os.urandom(8).hex()}.tmp"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise InvalidValue(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

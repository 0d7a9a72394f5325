"""The cache: blobs that were fetched and verified, in one folder that is written and others that are only read.

Looking a blob up never writes, and opens no lock and no socket. What is found is a file of the right name and
size; its bytes are verified when they are read, each time.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from zoo.errors import FetchError, NotFound
from zoo.files import sync_folder
from zoo.store import blob_path, cache_folder, is_digest

_PIECE = 2**20


class CachedBlob(NamedTuple):
    """A blob in a cache.

    Attributes:
        sha256: The digest that its name claims.
        path: Where it is.
        size: Its size in bytes.
        used: When it was last read or written, in seconds since the epoch, as far as the file system keeps that.
    """

    sha256: str
    path: Path
    size: int
    used: float


class Cache:
    """Where fetched blobs are kept.

    Args:
        root: The folder that is written to; made at the first write.
        read_roots: Further folders of the same form that are only read: a team's cache, a registry's folder.
    """

    def __init__(self, root: Path, read_roots: Sequence[Path] = ()) -> None:
        self.root = root
        self.read_roots = tuple(read_roots)

    def find(self, sha256: str, size: int | None = None) -> Path | None:
        """Where the blob with that digest, and that size if one is given, is; None if it is nowhere.

        In the folder that is written to a symbolic link counts as nothing: zoo makes none there.
        """
        for root in (self.root, *self.read_roots):
            path = blob_path(root, sha256)
            found = _regular(path, follow_links=root is not self.root)
            if found is not None and size in (None, found.st_size):
                return path
        return None

    def add(self, file: Path, sha256: str) -> Path:
        """Move a finished file, verified and synced, to where its digest says, and return that place.

        Raises:
            NotFound: `file` is gone.
            FetchError: The cache cannot be written to.
        """
        path = blob_path(self.root, sha256)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, path)
            sync_folder(path.parent)
        except FileNotFoundError as error:
            raise NotFound(f"{file} was deleted meanwhile.") from error
        except OSError as error:
            raise cannot_write(self.root, error) from error
        return path

    def blobs(self) -> Iterator[CachedBlob]:
        """The blobs in the folder that is written to, by digest."""
        for path in sorted((self.root / "blobs" / "sha256").glob("*/*")):
            found = _regular(path, follow_links=False)
            if (
                found is not None
                and is_digest(path.name)
                and blob_path(self.root, path.name) == path
            ):
                used = max(found.st_atime, found.st_mtime)
                yield CachedBlob(path.name, path, found.st_size, used)

    def remove(self, sha256: str) -> None:
        """Delete a blob from the folder that is written to, if it is there.

        Raises:
            FetchError: It cannot be deleted.
        """
        try:
            blob_path(self.root, sha256).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.root, error) from error

    def prune(self, older: float) -> list[CachedBlob]:
        """Delete blobs, partial files and locks that nobody used for `older` seconds.

        A file from the future, as a wrong clock makes them, counts as new.

        Returns:
            The blobs that were deleted.

        Raises:
            FetchError: One cannot be deleted.
        """
        oldest = time.time() - older
        old = [blob for blob in self.blobs() if blob.used < oldest]
        for blob in old:
            self.remove(blob.sha256)
        for path in self.partial_folder.glob("*"):
            with suppress(OSError):  # another process may have deleted or finished it
                if path.lstat().st_mtime < oldest:
                    path.unlink()
        return old

    def damaged(self, *, read_roots: bool = False) -> Iterator[tuple[CachedBlob, str]]:
        """Hash every blob again; yield those whose bytes are not what their names say, and what is wrong."""
        caches = [self, *(Cache(root) for root in self.read_roots if read_roots)]
        for cache in caches:
            for blob in cache.blobs():
                try:
                    found = file_digest(blob.path)
                except OSError as error:
                    yield blob, f"cannot be read: {error.strerror or error}"
                else:
                    if found != blob.sha256:
                        yield blob, f"its bytes have sha256 {found}"

    @property
    def partial_folder(self) -> Path:
        """Where downloads that are not finished lie."""
        return self.root / "partial"


def default_cache() -> Cache:
    """The cache of this user; `ZOO_CACHE_READ` lists folders that are read besides."""
    folders = os.environ.get("ZOO_CACHE_READ", "").split(os.pathsep)
    return Cache(cache_folder(), [Path(folder).expanduser() for folder in folders if folder])


def file_digest(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    piece = memoryview(bytearray(_PIECE))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(piece):
            digest.update(piece[:count])
    return digest.hexdigest()


def cannot_write(root: Path, error: OSError) -> FetchError:
    """The error for a cache that refuses a write."""
    return FetchError(
        f"The cache {root} cannot be written to: {error.strerror or error}. Free some space or mend its "
        "permissions, or set ZOO_CACHE to a folder of yours (and ZOO_CACHE_READ to this one, to go on reading it)."
    )


def _regular(path: Path, *, follow_links: bool) -> os.stat_result | None:
    """What a file's entry says if it is an ordinary file that can be looked at; else None."""
    try:
        found = os.stat(path, follow_symlinks=follow_links)
    except OSError:  # not there, or on a disk that does not answer: here it cannot be had
        return None
    return found if stat.S_ISREG(found.st_mode) else None

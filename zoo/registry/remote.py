"""The index of a registry that lies elsewhere: fetched, checked, and kept in the cache with its age.

It is kept as it came, in a file named by the digest of the base, in a folder of the cache that is this user's alone;
the file's time of change says when it was fetched. A new one takes its place only after it was read whole
and found in order, so a broken one never costs the old one.
"""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from zoo.errors import NotFound, Offline, RegistryError, ZooError
from zoo.registry.index import Index, open_index
from zoo.registry.private import private_folder
from zoo.registry.seen import RolledBack, Seen

FRESH = 24 * 3600.0
# A file server's clock may be a little ahead of ours; more than this, and one of the two is wrong.
_SKEW = 300.0
# How long an index that could not be fetched is not asked for again by the same object.
_PAUSE = 60.0


class RegistryWarning(UserWarning):
    """A registry could not be used, or only as it was some time ago."""


class RemoteIndex:
    """The index of the registry at an address.

    Args:
        base: The address.
        cache: Folder of the cache.
        name: What the configuration calls the registry; its credentials go by that name.
    """

    def __init__(self, base: str, cache: Path, *, name: str | None = None) -> None:
        self._base = base
        self._name = name
        self._cache = cache
        self._index: Index | None = None
        self._of: tuple[int, ...] | None = None
        self._unkept: float | None = None
        self._failed: float | None = None

    def age(self) -> float | None:
        """Seconds since the cached index was fetched; None if there is none, infinite if the clock contradicts."""
        try:
            age = time.time() - self._file().stat().st_mtime
        except OSError:
            return None
        return age if age > -_SKEW else float("inf")

    def cached(self) -> Index | None:
        """The index as it was last fetched, however long ago."""
        there = self._identity()
        if there != self._of:  # another process may have fetched a newer one
            self._index, self._of = None, there
            with suppress(OSError, RegistryError):  # damaged or older than it was: as good as none
                index = self._opened(self._file())
                self._admit(index)
                self._index = index
        return self._index

    def current(self, max_age: float = FRESH) -> Index:
        """The index, fetched anew if it is older than `max_age` seconds.

        Where no newer one can be had it is the old one, with a warning that says how old.

        Raises:
            FetchError: There is none at all.
            RegistryError: What was fetched is no registry, and there is no older one.
            RolledBack: What was fetched is older than what was seen before.
        """
        index = self.cached()
        if index is not None and self._is_settled(max_age):
            return index
        # Who has an older index to go on with does not wait long.
        attempts = 1 if index is not None else None
        try:
            return self.fetch(attempts=attempts)
        except RolledBack:
            raise
        except ZooError as error:
            if index is None:
                raise
            self._failed = time.monotonic()
            age = self.age()
            old = in_words(float("inf") if age is None else age)
            warnings.warn(
                f"No newer index of {self._base} can be had; the one in use is {old} old: {error}",
                RegistryWarning,
                stacklevel=2,
            )
            return index

    def fetch(self, *, accept_rollback: bool = False, attempts: int | None = None) -> Index:
        """Fetch the index anew.

        Args:
            accept_rollback: Take an index that is older than one that was seen before.
            attempts: How often to try; by default as for weights.

        Raises:
            FetchError: It cannot be had.
            RegistryError: It is no registry.
            RolledBack: It is older than what was seen before.
        """
        with _written(self._content(attempts), self._cache) as temporary:
            index = self._opened(temporary)
            if accept_rollback:
                self._admit(index, accept_rollback=True)
            else:
                Seen(self._cache).check_index(self._base, index.id, index.serial)
            self._unkept = None
            try:
                os.replace(temporary, self._file())
            except OSError:  # a cache that is read-only: the index serves this object alone
                self._unkept = time.monotonic()
        # Remembered when it is in its place: killed before, this leaves an index that was not seen yet, and killed
        # the other way round one that is older than what was seen, which is as good as none.
        with suppress(RolledBack):  # another process has seen a newer one meanwhile
            self._admit(index)
        self._index, self._of, self._failed = index, self._identity(), None
        return index

    def forget(self) -> None:
        """Delete the cached index, and forget what was seen at its place."""
        Seen(self._cache).forget(self._base)
        with suppress(OSError):
            self._file().unlink()

    def _opened(self, file: Path) -> Index:
        """The index in a file."""
        try:
            return open_index(file, self._cache / "index")
        except RegistryError as error:
            address = f"{self._base}/registry.yaml"
            raise RegistryError(str(error).replace(str(file), address)) from None

    def _admit(self, index: Index, *, accept_rollback: bool = False) -> None:
        """Hold an index to what was seen before, and remember it."""
        Seen(self._cache).admit_index(
            self._base, index.id, index.serial, accept_rollback=accept_rollback
        )

    def _file(self) -> Path:
        """Where the index is kept."""
        key = hashlib.sha256(self._base.encode()).hexdigest()[:32]
        return _folder(self._cache) / f"{key}.yaml"

    def _identity(self) -> tuple[int, ...] | None:
        """What changes when another file takes the place of the cached one; None if there is none."""
        try:
            found = self._file().stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _content(self, attempts: int | None) -> bytes:
        from zoo.registry.reader import SIZE_LIMIT
        from zoo.store.fetching import fetch_bytes
        from zoo.store.patience import PATIENCE
        from zoo.store.places import open_place

        patience = PATIENCE._replace(attempts=attempts or PATIENCE.attempts)
        try:
            place = open_place(self._base, registry=self._name)
            return fetch_bytes(place, "registry.yaml", limit=SIZE_LIMIT, patience=patience).content
        except NotFound:
            raise RegistryError(
                f"{self._base} holds no registry.yaml, so it is no registry."
            ) from None
        except Offline:
            whose = f"{self._name} ({self._base})" if self._name else self._base
            raise Offline(
                f"The index of {whose} is not fetched: ZOO_OFFLINE forbids the network. Unset it first."
            ) from None

    def _is_settled(self, max_age: float) -> bool:
        """Whether the index is new enough, or a newer one was asked for in vain just now."""
        now = time.monotonic()
        if self._failed is not None and now - self._failed < _PAUSE:
            return True
        if self._unkept is not None and now - self._unkept < max_age:
            return True
        age = self.age()
        return age is not None and age < max_age


def _folder(cache: Path) -> Path:
    return private_folder(cache / "registries")


@contextmanager
def _written(content: bytes, cache: Path) -> Iterator[Path]:
    """A new file with that content in the folder of indices, to be moved or deleted; elsewhere if there it cannot be."""
    from tempfile import TemporaryDirectory

    with ExitStack() as stack:
        try:
            file = stack.enter_context(_temporary(_folder(cache), content))
        except OSError as error:
            try:
                elsewhere = stack.enter_context(TemporaryDirectory())
                file = stack.enter_context(_temporary(Path(elsewhere), content))
            except OSError:
                from zoo.store.cache import cannot_write

                raise cannot_write(cache, error) from error
        yield file


@contextmanager
def _temporary(folder: Path, content: bytes) -> Iterator[Path]:
    from tempfile import mkstemp

    handle, name = mkstemp(dir=folder, prefix=".registry.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        with suppress(OSError):
            os.unlink(name)


def prune_indices(cache: Path, older: float) -> int:
    """Delete indices that nobody used for `older` seconds, fetched and compiled ones. They are made again when needed.

    Returns:
        How many there were.
    """
    oldest, number = time.time() - older, 0
    user = os.geteuid()
    for pattern in (f"registries-{user}/*.yaml", f"registries-{user}/.*.tmp", f"index-{user}/*"):
        for file in cache.glob(pattern):
            with suppress(OSError):  # another process may use or delete it
                found = file.lstat()
                if max(found.st_atime, found.st_mtime) < oldest:
                    file.unlink()
                    number += 1
    return number


def in_words(seconds: float) -> str:
    """How long that is, for people: `3 days`."""
    if seconds == float("inf"):
        return "an unknown time"
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' * (number > 1)}"
    return "less than a minute"

"""The index of a registry that lies elsewhere: fetched, checked, and kept in the cache with its age.

It is kept as it came, in `registries/<digest of the base>/registry.yaml`; the file's time of change says when it
was fetched. A new one takes its place only after it was read whole and found in order, so a broken
one never costs the old one.
"""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from zoo.errors import FetchError, NotFound, RegistryError
from zoo.registry.index import Index, open_index
from zoo.registry.seen import RolledBack, Seen
from zoo.store.cache import cannot_write

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
        key = hashlib.sha256(base.encode()).hexdigest()[:32]
        self.file = cache / "registries" / key / "registry.yaml"
        self._index: Index | None = None
        self._of: tuple[int, ...] | None = None
        self._fetched: float | None = None
        self._failed: float | None = None

    def age(self) -> float | None:
        """Seconds since the cached index was fetched; None if there is none, infinite if the clock contradicts."""
        try:
            age = time.time() - self.file.stat().st_mtime
        except OSError:
            return None
        return age if age > -_SKEW else float("inf")

    def cached(self) -> Index | None:
        """The index as it was last fetched, however long ago."""
        there = _identity(self.file)
        if there != self._of:  # another process may have fetched a newer one
            self._index, self._of = None, there
            with suppress(RegistryError):  # damaged: as good as none, so it is fetched again
                self._index = self._opened(self.file)
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
        try:
            return self.fetch()
        except RolledBack:
            raise
        except (FetchError, RegistryError) as error:
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

    def fetch(self, *, accept_rollback: bool = False) -> Index:
        """Fetch the index anew.

        Args:
            accept_rollback: Take an index that is older than one that was seen before.

        Raises:
            FetchError: It cannot be had.
            RegistryError: It is no registry.
            RolledBack: It is older than what was seen before.
        """
        content = self._content()
        with _written(content, self.file) as temporary:
            index = self._opened(temporary)
            Seen(self._cache).admit_index(
                self._base, index.id, index.serial, accept_rollback=accept_rollback
            )
            with suppress(OSError):  # a cache that is read-only: it serves this process alone
                os.replace(temporary, self.file)
        self._index, self._of = index, _identity(self.file)
        self._fetched, self._failed = time.monotonic(), None
        return index

    def _opened(self, file: Path) -> Index:
        try:
            return open_index(file, self._cache / "index")
        except RegistryError as error:
            address = f"{self._base}/registry.yaml"
            raise RegistryError(str(error).replace(str(file), address)) from None

    def _content(self) -> bytes:
        from zoo.registry.reader import SIZE_LIMIT
        from zoo.store.fetching import fetch_bytes
        from zoo.store.patience import PATIENCE
        from zoo.store.places import open_place

        # Who has an older index to go on with does not wait long.
        patience = PATIENCE._replace(attempts=2) if self.file.exists() else PATIENCE
        try:
            place = open_place(self._base, registry=self._name)
            return fetch_bytes(place, "registry.yaml", limit=SIZE_LIMIT, patience=patience).content
        except NotFound:
            raise RegistryError(
                f"{self._base} holds no registry.yaml, so it is no registry."
            ) from None

    def _is_settled(self, max_age: float) -> bool:
        """Whether the index is new enough, or a newer one was asked for in vain just now."""
        now = time.monotonic()
        if self._failed is not None and now - self._failed < _PAUSE:
            return True
        if self._fetched is not None and now - self._fetched < max_age:
            return True
        age = self.age()
        return age is not None and age < max_age


@contextmanager
def _written(content: bytes, target: Path) -> Iterator[Path]:
    """A new file with that content beside `target`, to be moved or deleted; elsewhere if there it cannot be."""
    from tempfile import TemporaryDirectory

    with ExitStack() as stack:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(_temporary(target.parent, content))
        except OSError as error:
            try:
                elsewhere = stack.enter_context(TemporaryDirectory())
                file = stack.enter_context(_temporary(Path(elsewhere), content))
            except OSError:
                raise cannot_write(target.parent, error) from error
        yield file


@contextmanager
def _temporary(folder: Path, content: bytes) -> Iterator[Path]:
    from tempfile import mkstemp

    handle, name = mkstemp(dir=folder, prefix=".registry.yaml.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        with suppress(OSError):
            os.unlink(name)


def _identity(file: Path) -> tuple[int, ...] | None:
    """What changes when another file takes a file's place; None if there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def prune_indices(cache: Path, older: float) -> int:
    """Delete indices that nobody used for `older` seconds, fetched and compiled ones. They are made again when needed.

    Returns:
        How many there were.
    """
    oldest, number = time.time() - older, 0
    for pattern in ("registries/*/registry.yaml", "registries/*/.*.tmp", "index/*"):
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

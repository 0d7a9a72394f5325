"""Having weights on this machine: fetch them, verify them, and pin them in a lock file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoo.errors import DigestMismatch, WeightsError
from zoo.finding import Found, cache_for, find, find_locked
from zoo.obtaining import fetched, mended, present, remember
from zoo.registry.defaults import chosen_registries
from zoo.registry.lock import Locked, lock_text, read_lock
from zoo.registry.resolving import usable
from zoo.store.cache import Cache, file_digest
from zoo.transports import Progress

if TYPE_CHECKING:
    from zoo.registry import Registry


class Verified(NamedTuple):
    """What became of hashing a file again.

    Attributes:
        path: The file.
        sha256: The digest that it should have.
        problem: What is wrong with it; empty if nothing is.
    """

    path: Path
    sha256: str
    problem: str


def download(
    ref: str,
    *,
    registries: Sequence[Registry] | None = None,
    lock: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch the weights of a version, unless they are here already, and verify them.

    Args:
        ref: As in `zoo.create`.
        registries: Where to look; by default those of `zoo.registries()`.
        lock: A lock file; the version is then the one that it holds.
        progress: Called with the bytes that came and those there will be; by default a bar on the terminal.

    Returns:
        The file. It belongs to the cache or to a registry: read it, and leave it as it is.

    Raises:
        UnknownName: Nobody knows the name or version.
        FetchError: The weights cannot be fetched.
        WeightsError: The version has no weights, or they are damaged and no others can be had.
    """
    return _verified_file(find(ref, registries=registries, lock=lock), progress)


def verify(
    ref: str | None = None, *, registries: Sequence[Registry] | None = None
) -> list[Verified]:
    """Hash again what is on this machine: the weights of one version, or the whole cache and every folder registry.

    No weights are fetched, changed or deleted.

    Args:
        ref: The version; None means everything.
        registries: As in `download`.

    Returns:
        One entry a file.

    Raises:
        UnknownName: Nobody knows the name or version.
        WeightsError: The version has no weights, or they are not on this machine.
    """
    if ref is None:
        return list(_verify_everything(chosen_registries(registries)))
    found = find(ref, registries=registries)
    path = present(found) or found.cache.find(found.weights.sha256)
    if path is None:
        raise WeightsError(
            f"The weights of {found.version.ref} are not on this machine. Fetch them with `zoo get {ref}`."
        )
    return [_examined(path, found.weights.sha256, found.weights.size)]


def lock(refs: str | Iterable[str], *, registries: Sequence[Registry] | None = None) -> str:
    """Return the content of a lock file that pins refs to the versions that they come to now.

    Args:
        refs: As in `zoo.create`; one or several.
        registries: As in `download`.

    Raises:
        UnknownName: Nobody knows a name or version.
        WeightsError: A version has no weights.
    """
    several = [refs] if isinstance(refs, str) else refs
    return lock_text(_locked(find(ref, registries=registries)) for ref in several)


def sync(
    lock: str | os.PathLike[str],
    *,
    registries: Sequence[Registry] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Fetch and verify everything that a lock file holds.

    Args:
        lock: The lock file.
        registries: As in `download`.
        progress: As in `download`.

    Returns:
        The files, in the order of the lock file.

    Raises:
        RegistryError: The file is no lock file, or a registry says other bytes than it.
        UnknownName: A version is not to be had.
        FetchError: Weights cannot be fetched.
    """
    where = chosen_registries(registries)
    return [
        _verified_file(find_locked(locked, where), progress) for locked in read_lock(Path(lock))
    ]


def _verified_file(found: Found, progress: Progress | None) -> Path:
    remember(found)
    path = present(found)
    if path is None:
        return fetched(found, progress=progress)
    problem = _examined(path, found.weights.sha256, found.weights.size).problem
    if not problem:
        return path
    return mended(found, DigestMismatch(f"{path} is damaged: it {problem}."), progress=progress)


def _verify_everything(registries: Sequence[Registry]) -> Iterator[Verified]:
    folders = {registry.root for registry in registries}
    cache = cache_for(registries)
    for root in dict.fromkeys((cache.root, *cache.read_roots)):
        if root not in folders:
            yield from (_examined(b.path, b.sha256, b.size) for b in Cache(root).blobs())
    for registry, index in usable(one for one in registries if one.root is not None):
        done = set()
        for listing in index.listings():
            path = registry.blob(listing.sha256) if listing.sha256 is not None else None
            if path is None or listing.sha256 is None or path in done:
                continue
            done.add(path)
            size = index.data(listing.name, listing.number)["weights"]["size"]
            yield _examined(path, listing.sha256, size)


def _examined(path: Path, sha256: str, size: int) -> Verified:
    try:
        found = path.stat().st_size
        digest = file_digest(path) if found == size else None
    except FileNotFoundError:
        return Verified(path, sha256, "is missing")
    except OSError as error:
        return Verified(path, sha256, f"cannot be read: {error.strerror or error}")
    if digest is None:
        return Verified(path, sha256, f"has {found} bytes, published were {size}")
    return Verified(path, sha256, "" if digest == sha256 else f"has the sha256 {digest}")


def _locked(found: Found) -> Locked:
    ref, weights = found.version.ref, found.weights
    if found.registry is None or ref.number is None:
        raise WeightsError(f"{ref} cannot be locked: no registry names it any more.")
    return Locked(ref.name, str(ref.number), weights.sha256, weights.size, ref.registry)

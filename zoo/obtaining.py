"""From a version to the verified bytes of its weights: of this machine, or fetched."""

from __future__ import annotations

import warnings
from pathlib import Path

from zoo.errors import DigestMismatch, Offline, WeightsError
from zoo.finding import Found, root_of, what_is_cached
from zoo.progress import progress_bar
from zoo.registry.remote import RegistryWarning
from zoo.registry.seen import Seen
from zoo.store import cache_folder, offline, read_blob
from zoo.store.cache import Cache
from zoo.transports import Progress


def present(found: Found) -> Path | None:
    """Where the weights of a version are on this machine, to be verified by whoever reads them; None if nowhere.

    Raises:
        WeightsError: It has none.
    """
    own = found.registry.blob(found.weights.sha256) if found.registry is not None else None
    if own is not None and own.is_file():
        return own
    return found.cache.find(found.weights.sha256, found.weights.size)


def fetched(found: Found, *, progress: Progress | None = None) -> Path:
    """Fetch the weights of a version, verified, into the cache.

    Args:
        found: The version.
        progress: Called with the bytes that came and those there will be; by default a bar on the terminal.

    Raises:
        WeightsError: It has none, or it should lie in a folder, which lacks it.
        DigestMismatch: The cache has it in another size, and the network is switched off.
        FetchError: They cannot be fetched.
    """
    from zoo.store.fetching import fetch_blob

    registry, version, cache = found
    weights = found.weights
    if registry is None or registry.root is not None:
        where = registry.root if registry is not None else cache.root
        raise WeightsError(
            f"The weights sha256:{weights.sha256} are not in {where}. Fetch that registry again."
        )
    if (damage := _of_other_size(found)) is not None:
        _announce(found, damage)
    try:
        with progress_bar(str(version.ref)) as bar:
            return fetch_blob(
                registry.place, weights.sha256, weights.size, cache, progress=progress or bar
            )
    except Offline as error:
        raise Offline(f"{version.ref}: {error} {what_is_cached([registry], cache)}") from error


def remember(found: Found) -> None:
    """Hold the version to its digest from now on.

    Raises:
        RegistryError: It had another one before.
    """
    if found.registry is not None and not found.registry.installed:
        Seen(cache_folder()).admit_version(found.version.ref, found.registry.base)


def read_weights(found: Found) -> bytearray:
    """The bytes of a version's weights, verified. A damaged copy in the cache is fetched anew.

    Raises:
        WeightsError: It has none, or its folder lacks them.
        DigestMismatch: They are damaged, and no others can be had.
        FetchError: They cannot be fetched.
    """
    remember(found)
    weights = found.weights
    path = present(found)
    if path is None:
        path = fetched(found)
    else:
        try:
            return read_blob(root_of(path), weights.sha256, weights.size)
        except DigestMismatch as error:
            path = mended(found, error)
    return read_blob(root_of(path), weights.sha256, weights.size)


def mended(found: Found, error: DigestMismatch, *, progress: Progress | None = None) -> Path:
    """Fetch weights anew whose copy on this machine is damaged.

    Raises:
        DigestMismatch: As `error`, where that copy is the registry's own, or nothing can be fetched.
        FetchError: They cannot be fetched.
    """
    _announce(found, error)
    found.cache.remove(found.weights.sha256)
    # The damaged copy may be in a folder that is only read; ours is then found before it.
    return fetched(found._replace(cache=Cache(found.cache.root)), progress=progress)


def _announce(found: Found, error: DigestMismatch) -> None:
    """Warn that a damaged copy is fetched anew; where nothing can be fetched, raise it with what to do."""
    if found.registry is None:
        advice = "Delete it, and fetch it again from a registry that has it."
    elif found.registry.root is not None:
        advice = "Fetch that registry again."
    elif offline():
        advice = "Unset ZOO_OFFLINE, and it is fetched again."
    else:
        warnings.warn(f"Fetched anew: {error}", RegistryWarning, stacklevel=3)
        return
    raise DigestMismatch(f"{error} {advice}") from error


def _of_other_size(found: Found) -> DigestMismatch | None:
    """What is wrong with a cached copy that `present` passed over, having another size than was published."""
    path = found.cache.find(found.weights.sha256)
    try:
        size = path.stat().st_size if path is not None else found.weights.size
    except OSError:  # another process deleted it meanwhile
        return None
    if size == found.weights.size:
        return None
    return DigestMismatch(
        f"{path} is damaged: it has {size} bytes, published were {found.weights.size}."
    )

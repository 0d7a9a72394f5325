"""From a ref to a version, wherever it is: in registries, a lock file, or the cache alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoo.errors import DigestMismatch, Offline, RegistryError, UnknownName, WeightsError, ZooError
from zoo.refs import ExactRef, Ref
from zoo.registry.defaults import chosen_registries
from zoo.registry.lock import Locked, locked_versions, read_lock
from zoo.registry.resolving import named, resolve, resolve_cached
from zoo.registry.seen import Seen
from zoo.store import cache_folder, offline, read_blob
from zoo.store.cache import Cache, default_cache, file_digest

if TYPE_CHECKING:
    from zoo.registry import Registry
    from zoo.registry.index import Index
    from zoo.spec import Version, Weights

_MOST_LISTED = 20
# Seconds; an index in which an exact version was not found is fetched anew after one minute, if it can be.
_JUST_ASKED = 120.0


class Found(NamedTuple):
    """What a ref came to.

    Attributes:
        registry: The registry that answered; None where a cached blob answered for itself.
        version: The version.
        cache: Where its weights may be already, or are kept.
    """

    registry: Registry | None
    version: Version
    cache: Cache

    @property
    def weights(self) -> Weights:
        """Digest and size of the weights.

        Raises:
            WeightsError: The version has none.
        """
        if self.version.weights is None:
            raise WeightsError(
                f"{self.version.ref} has no weights. Create it without pretrained=True and train it."
            )
        return self.version.weights


def find(
    ref: str,
    *,
    registries: Sequence[Registry] | None = None,
    lock: str | os.PathLike[str] | None = None,
) -> Found:
    """Find the version that a ref names.

    Args:
        ref: The ref.
        registries: Where to look; by default those of the user.
        lock: A lock file; the version is then the one that it holds.

    Raises:
        InvalidRef: `ref` is none.
        UnknownName: No registry knows it, or the lock file does not.
        FetchError: The registry that the ref names cannot be reached.
        RegistryError: A registry says something else than before, or than the lock file.
    """
    parsed = Ref.parse(ref)
    where = chosen_registries(registries)
    cache = cache_for(where)
    try:
        if lock is None:
            found = _find(parsed, where, cache)
        else:
            found = find_locked(_pick(parsed, where, Path(lock)), where)
    except (Offline, UnknownName) as error:
        if not offline():
            raise
        raise type(error)(f"{error} {what_is_cached(where, cache)}") from error
    if found.registry is not None and not found.registry.installed:
        Seen(cache_folder()).check_version(found.version.ref)
    return found


def find_locked(locked: Locked, registries: Sequence[Registry]) -> Found:
    """Find a version of a lock file: by its number where the index names it, else by its digest in the cache.

    Raises:
        UnknownName: The registry of that id has other versions of it alone; or none is at hand, and the weights are
            not cached.
        RegistryError: The registry says other bytes.
    """
    cache = cache_for(registries)
    exact = Ref(locked.name, number=locked.number)
    try:
        found = resolve(exact, _with_id(locked.registry, registries))
    except UnknownName as error:
        denied = any(_has_others(exact, one) for one in _with_id(locked.registry, registries))
        by_digest = exact._replace(number=None, digest=locked.sha256)
        blob = _from_blob(by_digest, cache) if not denied else None
        if blob is None:
            raise UnknownName(
                f"{exact} of registry id {locked.registry!r} is locked, but not to be had: {error} Lock anew."
            ) from error
        return Found(None, blob, cache)
    weights = found[1].weights
    if weights is None or (weights.sha256, weights.size) != (locked.sha256, locked.size):
        raise RegistryError(
            f"{exact} is locked as sha256:{locked.sha256} ({locked.size} bytes); registry {locked.registry} now says "
            f"{f'sha256:{weights.sha256} ({weights.size} bytes)' if weights else 'that it has no weights'}. A version "
            "never changes: ask its publisher. Lock anew only if you trust what is there now."
        )
    return Found(*found, cache)


def cache_for(registries: Sequence[Registry]) -> Cache:
    """The user's cache, which reads besides what `ZOO_CACHE_READ` names the folders of registries."""
    cache = default_cache()
    folders = [registry.root for registry in registries if registry.root is not None]
    return Cache(cache.root, [*cache.read_roots, *folders])


def what_is_cached(registries: Sequence[Registry], cache: Cache) -> str:
    """A sentence that lists what can be loaded from this machine."""
    names = sorted(set(_cached_refs(registries, cache)))
    if not names:
        return "Nothing is cached."
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return f"Cached: {', '.join(names[:_MOST_LISTED])}{more}."


def root_of(path: Path) -> Path:
    """The folder below which a blob lies."""
    return path.parents[3]


def _find(ref: Ref, registries: Sequence[Registry], cache: Cache) -> Found:
    if ref.digest is not None:
        if (cached := resolve_cached(ref, registries)) is not None:
            return Found(*cached, cache)
        if (blob := _from_blob(ref, cache)) is not None:
            return Found(None, blob, cache)
    return Found(*resolve(ref, registries), cache)


def _pick(ref: Ref, registries: Sequence[Registry], lock: Path) -> Locked:
    """The version that a lock file holds for a ref; of several, that of the first registry in order."""
    held = locked_versions(ref, read_lock(lock), str(lock))
    if ref.registry is not None:
        registry = named(ref.registry, registries)
        wanted = registry.id if registry is not None else None
        held = [one for one in held if one.registry == wanted]
        if not held:
            raise UnknownName(f"{lock} does not hold {ref.name!r} of registry {ref.registry!r}.")
    if len(held) > 1:
        ids = [_id_of(registry) for registry in registries]
        held.sort(key=lambda one: ids.index(one.registry) if one.registry in ids else len(ids))
    return held[0]


def _from_blob(ref: Ref, cache: Cache) -> Version | None:
    """What a cached blob says of itself, as a version; None if it is not cached."""
    from zoo.spec import Version, Weights
    from zoo.weights import parse

    sha256 = ref.digest or ""
    path = cache.find(sha256)
    if path is None:
        return None
    size = path.stat().st_size
    try:
        content = read_blob(root_of(path), sha256, size)
    except DigestMismatch as error:
        raise DigestMismatch(
            f"{error} Delete it, and fetch it again from a registry that has it."
        ) from error
    file = parse(content, str(ref))
    known = [one.ref for one in Seen(cache_folder()).versions() if one.ref.sha256 == sha256]
    exact = next(
        (one for one in known if one.name == ref.name), ExactRef("", ref.name, None, sha256)
    )
    said = {name: value for name, value in file.metadata.items() if isinstance(value, dict)}
    return Version(
        ref=exact,
        summary="",
        spec=file.spec,
        weights=Weights(sha256, size),
        metrics=said.get("metrics", {}),
        recipe=said.get("recipe", {}),
        provenance=said.get("provenance", {}),
    )


def _cached_refs(registries: Sequence[Registry], cache: Cache) -> Iterator[str]:
    """Refs whose weights are here, whole: by their size, or where no index says it by their bytes."""
    named: set[str] = set()
    for registry in registries:
        if (index := _cached_index(registry)) is None:
            continue
        for listing in index.listings():
            if listing.sha256 is not None and cache.find(listing.sha256) is not None:
                named.add(listing.sha256)
                size = index.data(listing.name, listing.number)["weights"]["size"]
                if cache.find(listing.sha256, size) is not None:
                    yield f"{listing.name}@{listing.number}"
    for ref, _ in Seen(cache_folder()).versions():
        path = cache.find(ref.sha256) if ref.sha256 and ref.sha256 not in named else None
        with suppress(OSError):  # what cannot be read does not load, either
            if path is not None and file_digest(path) == ref.sha256:
                yield str(ref._replace(number=None))  # it has no number without an index


def _with_id(wanted: str, registries: Sequence[Registry]) -> list[Registry]:
    """The registries of an id; those of which nothing is cached are asked only if no other has it."""
    cached = [(registry, _cached_index(registry)) for registry in registries]
    known = [registry for registry, index in cached if index is not None and index.id == wanted]
    return known or [registry for registry in registries if _id_of(registry) == wanted]


def _has_others(ref: Ref, registry: Registry) -> bool:
    """Whether a registry, as it is now, has the variant but not that version of it."""
    age = registry.index_age()
    if age is not None and age > _JUST_ASKED:  # it cannot be asked: the version may be newer
        return False
    index = _cached_index(registry)
    if index is None or index.skipped_of(ref.name):
        return False
    numbers = [listing.number for listing in index.listings(ref.name)]
    return bool(numbers) and ref.number not in numbers


def _cached_index(registry: Registry) -> Index | None:
    try:
        return registry.cached_index()
    except ZooError:  # it is broken; whoever needs it will say so
        return None


def _id_of(registry: Registry) -> str | None:
    try:
        return registry.id
    except ZooError:  # it cannot be opened; whoever needs it will say so
        return None

"""From a ref to one version: which registry, which release."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from zoo.errors import PluginError, UnknownName, ZooError, near_misses
from zoo.escaping import printable
from zoo.refs import Ref
from zoo.registry.remote import FRESH, RegistryWarning
from zoo.registry.requirements import how_to_install, missing
from zoo.registry.seen import RolledBack

if TYPE_CHECKING:
    from zoo.registry import Registry
    from zoo.registry.index import Index, Listing
    from zoo.spec import Version

# For an exact version that is not known here, an index is asked for again if it is older, in seconds.
_JUST_NOW = 60.0


class YankedWarning(UserWarning):
    """An exact version was asked for that its publisher has withdrawn."""


def resolve(ref: Ref, registries: Sequence[Registry]) -> tuple[Registry, Version]:
    """Find the version that a ref names.

    The first registry that knows the name answers; never the highest version over all. An exact version or digest is
    looked for in what is cached, however old; only where it is not there, registries are asked anew.

    Raises:
        UnknownName: No registry knows the name or the version; the message lists what there is.
        PluginError: What it comes to needs distributions that are not installed.
        FetchError: The registry that the ref names cannot be reached, and nothing of it is cached.
        RegistryError: The registry that the ref names is broken; or one takes back what it said before.
    """
    found = resolve_cached(ref, registries)
    if found is None:
        registry, index = _registry_of(ref, registries)
        skipped = index.skipped_of(ref.name)
        listing = choose(ref, list(index.listings(ref.name)), skipped=skipped)
        found = _whole(ref, registry, listing)
    return found


def resolve_cached(ref: Ref, registries: Sequence[Registry]) -> tuple[Registry, Version] | None:
    """Find an exact version or a digest without the network; None where only registries themselves can say."""
    if not is_exact(ref):
        return None
    for registry in _asked(ref, registries):
        try:
            index = registry.cached_index()
        except ZooError as error:
            if ref.registry is not None:
                return None
            _report(registry, error)
            continue
        listings = list(index.listings(ref.name)) if index else []
        fitting = [one for one in listings if _is_exactly(ref, one)]
        if fitting:
            return _whole(ref, registry, max(fitting, key=lambda one: one.number))
        # A digest is the same blob wherever it is named. A number is that of the first registry that knows the
        # name, which may be this one.
        unsure = index is None or listings or index.skipped_of(ref.name)
        if ref.digest is None and unsure:
            return None
    return None


def usable(
    registries: Iterable[Registry], *, max_age: float = FRESH
) -> Iterator[tuple[Registry, Index]]:
    """Each registry with its index, not older than `max_age` seconds; one that is broken is reported and left out.

    Raises:
        RolledBack: One takes back what it said before.
    """
    for registry in registries:
        try:
            index = registry.fresh_index(max_age)
        except RolledBack:
            raise
        except ZooError as error:
            _report(registry, error)
        else:
            yield registry, index


def _report(registry: Registry, error: ZooError) -> None:
    name = registry.configured_name or registry.base
    warnings.warn(f"Registry {name} is left out: {error}", RegistryWarning, stacklevel=4)


def named(name: str, registries: Iterable[Registry], *, ask: bool = True) -> Registry | None:
    """The registry that refs call `name`; `ask` those, too, whose name nothing on this machine says."""
    return next((one for one in registries if _name_of(one, ask=ask) == name), None)


def names_of(registries: Iterable[Registry]) -> list[str]:
    """What refs call registries."""
    return [name for registry in registries if (name := _name_of(registry))]


def is_exact(ref: Ref) -> bool:
    """Whether a ref can only ever mean one version."""
    return ref.number is not None or ref.digest is not None


def choose(ref: Ref, listings: Iterable[Listing], *, skipped: Sequence[str] = ()) -> Listing:
    """Pick the version that a ref names among those of its variant.

    Args:
        ref: What was asked for.
        listings: The versions.
        skipped: What to say of further ones that cannot be read.

    Raises:
        UnknownName: None fits; the message lists those there are, and why they do not fit.
        PluginError: Those that fit need distributions that are not installed; the message says how to install them.
    """
    known = sorted(listings, key=lambda listing: listing.number)
    if is_exact(ref):
        fitting = [one for one in known if _is_exactly(ref, one)]
    else:
        fitting = [one for one in known if ref.allows(one.number) and is_floating_target(one)]
    if fitting:
        return fitting[-1]
    have = ", ".join([*(f"{one.number}{_why_not(one)}" for one in known), *skipped])
    if not is_exact(ref) and (wanting := [one for one in known if _only_wanting(ref, one)]):
        raise PluginError(
            f"{ref} needs what is not installed here. Versions of {ref.name}: {have}. "
            f"{how_to_install(one.words for one in missing(wanting[-1].requires))}"
        )
    raise UnknownName(f"There is no {ref}. Versions of {ref.name}: {have}.")


def is_floating_target(listing: Listing) -> bool:
    """Whether a ref without an exact version may come to this one."""
    return not _why_not(listing)


def _only_wanting(ref: Ref, listing: Listing) -> bool:
    """Whether a ref comes to a version as soon as what it needs is installed."""
    return ref.allows(listing.number) and not _held_back(listing)


def _why_not(listing: Listing) -> str:
    if why := _held_back(listing):
        return why
    wanting = "; ".join(map(str, missing(listing.requires)))
    return f" (needs {wanting})" if wanting else ""


def _held_back(listing: Listing) -> str:
    if listing.yanked is not None:
        return " (withdrawn)"
    return " (pre-release: ask for it exactly)" if listing.number.pre else ""


def _whole(ref: Ref, registry: Registry, listing: Listing) -> tuple[Registry, Version]:
    """The version of a listing, with what is to be said of it."""
    if listing.yanked is not None:
        warnings.warn(
            f"{listing.name}@{listing.number} was withdrawn by its publisher: {printable(listing.yanked)}",
            YankedWarning,
            stacklevel=4,
        )
    version = registry.version(listing.name, listing.number)
    digest = f"sha256:{listing.sha256}" if listing.sha256 else "no weights"
    import logging  # not at the top: `zoo list` comes by here, and has nothing to log

    logging.getLogger("zoo").info(
        "%s is %s@%s (%s) of registry %s", ref, listing.name, listing.number, digest, registry.id
    )
    return registry, version


def _name_of(registry: Registry, *, ask: bool = True) -> str | None:
    try:
        if not ask and registry.configured_name is None and registry.cached_index() is None:
            return None
        return registry.name
    except ZooError:  # it is known by its id alone, which nobody can tell now
        return None


def _is_exactly(ref: Ref, listing: Listing) -> bool:
    return listing.sha256 == ref.digest if ref.digest else listing.number == ref.number


def _registry_of(ref: Ref, registries: Sequence[Registry]) -> tuple[Registry, Index]:
    """The first registry that knows the name, with its index."""
    asked = _asked(ref, registries)
    max_age = _JUST_NOW if is_exact(ref) else FRESH
    # One that is asked for by name is not left out: what is wrong with it is the answer.
    strictly = ((registry, registry.fresh_index(max_age)) for registry in asked)
    names: list[str] = []
    total = 0
    for registry, index in strictly if ref.registry else usable(asked, max_age=max_age):
        if next(index.listings(ref.name), None) is not None or index.skipped_of(ref.name):
            return registry, index
        similar, count = index.similar_names(ref.name)
        names += similar
        total += count
    aged = any(registry.root is None for registry in asked) and not is_exact(ref)
    hint = " What was published within a day may need `zoo registry refresh`." if aged else ""
    known = near_misses(ref.name, names, total=total)
    raise UnknownName(f"No variant is called {ref.name!r}. {known}{hint}")


def _asked(ref: Ref, registries: Sequence[Registry]) -> Sequence[Registry]:
    """The registries in which to look: all, or the one that the ref names."""
    if ref.registry is None:
        return registries
    found = named(ref.registry, registries)
    if found is None:
        known = near_misses(ref.registry, names_of(registries))
        raise UnknownName(f"{ref}: there is no registry {ref.registry!r}. {known}")
    return [found]

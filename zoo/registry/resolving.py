"""From a ref to one version: which registry, which release."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from zoo import __version__
from zoo.errors import UnknownName, near_misses
from zoo.refs import Ref

if TYPE_CHECKING:
    from zoo.registry import Registry
    from zoo.registry.index import Listing
    from zoo.spec import Version

_AT_LEAST = re.compile(r">=\s*(\d+(?:\.\d+)*)\Z")


class YankedWarning(UserWarning):
    """An exact version was asked for that its publisher has withdrawn."""


def resolve(ref: Ref, registries: Sequence[Registry]) -> tuple[Registry, Version]:
    """Find the version that a ref names.

    The first registry that knows the name answers; never the highest version over all.

    Raises:
        UnknownName: No registry knows the name or the version; the message lists what there is.
    """
    registry = _registry_of(ref, registries)
    skipped = registry.index.skipped_of(ref.name)
    listing = choose(ref, list(registry.index.listings(ref.name)), skipped=skipped)
    if listing.yanked is not None:
        warnings.warn(
            f"{listing.name}@{listing.number} was withdrawn by its publisher: {listing.yanked}",
            YankedWarning,
            stacklevel=3,
        )
    version = registry.version(listing.name, listing.number)
    digest = f"sha256:{listing.sha256}" if listing.sha256 else "no weights"
    import logging  # not at the top: `zoo list` comes by here, and has nothing to log

    logging.getLogger("zoo").info(
        "%s is %s@%s (%s) of registry %s", ref, listing.name, listing.number, digest, registry.id
    )
    return registry, version


def choose(ref: Ref, listings: Iterable[Listing], *, skipped: Sequence[str] = ()) -> Listing:
    """Pick the version that a ref names among those of its variant.

    Args:
        ref: What was asked for.
        listings: The versions.
        skipped: What to say of further ones that cannot be read.

    Raises:
        UnknownName: None fits; the message lists those there are, and why they do not fit.
    """
    known = sorted(listings, key=lambda listing: listing.number)
    if ref.digest is not None or ref.number is not None:
        fitting = [
            one
            for one in known
            if (one.sha256 == ref.digest if ref.digest else one.number == ref.number)
        ]
    else:
        fitting = [one for one in known if ref.allows(one.number) and is_floating_target(one)]
    if fitting:
        return fitting[-1]
    have = ", ".join([*(f"{one.number}{_why_not(one)}" for one in known), *skipped])
    raise UnknownName(f"There is no {ref}. Versions of {ref.name}: {have}.")


def newest(listings: Iterable[Listing]) -> list[Listing]:
    """For each variant the version that its plain name comes to; those that have none are left out."""
    found: dict[str, Listing] = {}
    for listing in listings:
        there = found.get(listing.name)
        if is_floating_target(listing) and (there is None or there.number < listing.number):
            found[listing.name] = listing
    return list(found.values())


def is_floating_target(listing: Listing) -> bool:
    """Whether a ref without an exact version may come to this one."""
    return not _why_not(listing)


def _why_not(listing: Listing) -> str:
    if listing.yanked is not None:
        return " (withdrawn)"
    if listing.number.pre:
        return " (pre-release: ask for it exactly)"
    for distribution, specifier in listing.requires.items():
        installed = _installed_version(distribution)
        if installed is None or not _satisfies(installed, specifier):
            return f" (needs {distribution} {specifier}, installed: {installed or 'none'})"
    return ""


def _registry_of(ref: Ref, registries: Sequence[Registry]) -> Registry:
    if ref.registry is not None:
        named = [registry for registry in registries if registry.name == ref.registry]
        if not named:
            raise UnknownName(
                f"{ref}: there is no registry {ref.registry!r}. {near_misses(ref.registry, (r.name for r in registries))}"
            )
        registries = named
    for registry in registries:
        known = next(registry.index.listings(ref.name), None)
        if known is not None or registry.index.skipped_of(ref.name):
            return registry
    names = [name for registry in registries for name in registry.index.names()]
    raise UnknownName(f"No variant is called {ref.name!r}. {near_misses(ref.name, names)}")


def _installed_version(distribution: str) -> str | None:
    if distribution == "attn-zoo":
        return __version__
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _satisfies(version: str, specifier: str) -> bool:
    # The common case is decided here: importing `packaging` would double the time of `zoo list`.
    simple = _AT_LEAST.match(specifier)
    if simple and re.fullmatch(r"\d+(\.\d+)*", version):
        wanted, have = ([int(part) for part in text.split(".")] for text in (simple[1], version))
        length = max(len(wanted), len(have))
        return have + [0] * (length - len(have)) >= wanted + [0] * (length - len(wanted))
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version, prereleases=True)

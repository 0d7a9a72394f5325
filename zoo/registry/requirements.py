"""Which distributions that a version needs are not installed, and how to install them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from zoo import __version__

_AT_LEAST = re.compile(r">=\s*(\d+(?:\.\d+)*)\Z")


class Missing(NamedTuple):
    """A distribution that is not installed, or in a version that will not do.

    Attributes:
        distribution: Its name.
        specifier: The versions that will do.
        installed: The version that is there; None if none is.
    """

    distribution: str
    specifier: str
    installed: str | None

    def __str__(self) -> str:
        needed = f"{self.distribution} {self.specifier}"
        return f"{needed}, installed: {self.installed or 'none'}"

    @property
    def words(self) -> str:
        """What pip is to be told: the name alone, where its newest version will do."""
        if self.installed is None and _AT_LEAST.match(self.specifier):
            return self.distribution
        return f"{self.distribution}{self.specifier.replace(' ', '')}"


def missing(requires: Mapping[str, str]) -> list[Missing]:
    """Those of the distributions that are not there as needed."""
    installed = {name: _installed_version(name) for name in requires}
    return [
        Missing(name, specifier, have)
        for name, specifier in requires.items()
        if (have := installed[name]) is None or not satisfies(have, specifier)
    ]


def is_met(requires: Mapping[str, str]) -> bool:
    """Whether the distributions that a version needs are installed."""
    return not missing(requires)


def how_to_install(words: Iterable[str]) -> str:
    """Return the end of a message: the command that installs these, each once."""
    wanted = list(dict.fromkeys(words))
    return (
        f"Install {'it' if len(wanted) == 1 else 'them'}: {shlex.join(['pip', 'install', *wanted])}"
    )


def _installed_version(distribution: str) -> str | None:
    if distribution == "attn-zoo":
        return __version__
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def satisfies(version: str, specifier: str) -> bool:
    """Whether a release of a distribution, perhaps one before a release, is among those that are asked for."""
    # The common case is decided here: importing `packaging` would double the time of `zoo list`.
    simple = _AT_LEAST.match(specifier)
    if simple and re.fullmatch(r"\d+(\.\d+)*", version):
        wanted, have = ([int(part) for part in text.split(".")] for text in (simple[1], version))
        length = max(len(wanted), len(have))
        return have + [0] * (length - len(have)) >= wanted + [0] * (length - len(wanted))
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version, prereleases=True)

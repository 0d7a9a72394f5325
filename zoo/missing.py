"""What to install for a file or a version that needs components which are not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import UnknownName
from zoo.plugins import Catalog, Plugin
from zoo.registry.requirements import how_to_install, missing

if TYPE_CHECKING:
    from zoo.spec import Version

_TITLE = re.compile(r"(backbone|attention|head)/[a-z0-9_]{1,64}(/\*)?\Z")
_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,99}\Z")


def missing_plugins(
    metadata: Mapping[str, Any], path: str, error: UnknownName, catalog: Catalog
) -> str:
    """Say which distributions bring what a file needs."""
    have = {component.title for component in catalog.components()}
    needs = metadata.get("components")
    came: dict[str, tuple[str, str]] = {}
    homeless = []
    for title, origin in (needs if isinstance(needs, dict) else {}).items():
        # What a file says is shown only where it has the form of what it should be.
        if title in have or not _TITLE.match(title):
            continue
        match origin:
            case [str(distribution), str(release)] if _are_words(distribution, release):
                came[title] = (distribution, release)
            case _:
                homeless.append(title)
    if not came and not homeless:
        return f"{path}: {error}"
    sentences = []
    if came:
        origins = [f"{title}, which came with {' '.join(origin)}" for title, origin in came.items()]
        sentences.append(f"{path} needs {'; and '.join(origins)}.")
    if homeless:
        were, it = ("was", "it") if len(homeless) == 1 else ("were", "them")
        belong = "belongs" if len(homeless) == 1 else "belong"
        sentences.append(
            f"{path} needs {' and '.join(homeless)}, which {were} registered in the process that saved it and {belong} "
            f"to no distribution. Register {it} here, too (zoo.register), before loading."
        )
    left_out = _left_out(catalog, {distribution for distribution, _ in came.values()})
    sentences += map(_state, left_out)
    out = {plugin.entry.distribution for plugin in left_out}
    if wanted := [distribution for distribution, _ in came.values() if distribution not in out]:
        sentences.append(how_to_install(wanted))
    return " ".join(sentences)


def missing_distributions(version: Version, error: UnknownName, catalog: Catalog) -> str:
    """Say which distributions of those that a version needs are not here."""
    wanting = missing(version.requires)
    sentences = [f"{version.ref}: {error}"]
    if wanting:
        sentences = [
            f"{version.ref} needs what is not installed here: {'; '.join(map(str, wanting))}."
        ]
        # Which of them brings what is missing a registry does not say; one may be here, and left out.
        sentences += map(_state, _left_out(catalog, version.requires))
        sentences.append(how_to_install(one.words for one in wanting))
    return " ".join(sentences)


def _are_words(*texts: str) -> bool:
    return all(map(_RELEASE.match, texts))


def _left_out(catalog: Catalog, distributions: Iterable[str]) -> list[Plugin]:
    wanted = set(distributions)
    return [
        plugin
        for plugin in catalog.plugins
        if plugin.state != "loaded" and plugin.entry.distribution in wanted
    ]


def _state(plugin: Plugin) -> str:
    problem = f" ({plugin.problem})" if plugin.problem else ""
    entry = plugin.entry
    return f"{entry.name} of {entry.distribution} is installed, but {plugin.state}{problem}."

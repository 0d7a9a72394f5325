"""What to install for a file that needs a component which is not there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from zoo.errors import UnknownName
from zoo.plugins import Catalog

_TITLE = re.compile(r"(backbone|attention|head)/[a-z0-9_]{1,64}(/\*)?\Z")
_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,99}\Z")


def missing_plugin(
    metadata: Mapping[str, Any], path: str, error: UnknownName, catalog: Catalog
) -> str:
    """Say which distribution brings what a file needs."""
    have = {component.title for component in catalog.components()}
    left_out = {
        plugin.entry.distribution: plugin for plugin in catalog.plugins if plugin.state != "loaded"
    }
    needs = metadata.get("components")
    for title, origin in (needs if isinstance(needs, dict) else {}).items():
        # What a file says is shown only where it has the form of what it should be.
        if title in have or not _TITLE.match(title):
            continue
        words = origin if isinstance(origin, list) and len(origin) == 2 else [None, None]
        if all(isinstance(word, str) and _RELEASE.match(word) for word in words):
            distribution, release = words
            came = f"{path} needs {title}, which came with {distribution} {release}."
            if distribution in left_out:
                plugin = left_out[distribution]
                return f"{came} It is installed, but {plugin.state}{f' ({plugin.problem})' * bool(plugin.problem)}."
            return f"{came} Install it: pip install {distribution}"
        return (
            f"{path} needs {title}, which was registered in the process that saved it and belongs to no "
            "distribution. Register it here, too (zoo.register), before loading."
        )
    return f"{path}: {error}"

"""Which installed distributions have entry points in group `zoo`.

`importlib.metadata` answers this, too, in 50 ms and more; reading the same small files directly takes
a few, and the command should start at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

GROUP = "zoo"


class EntryPoint(NamedTuple):
    """An entry point of group `zoo`: a hook module and the distribution that brought it."""

    name: str
    module: str
    distribution: str
    version: str


def installed_entry_points(path: Sequence[str] | None = None) -> list[EntryPoint]:
    """Find the entry points of group `zoo` of every distribution on `path` (default: `sys.path`).

    As at import, the first distribution of a name on the path hides later ones.
    """
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for folder in sys.path if path is None else path:
        for info in _metadata_folders(folder or "."):
            # The folder's name says it, so that those of others need not be opened.
            key = os.path.basename(info).rpartition(".")[0].partition("-")[0]
            key = key.lower().replace(".", "_")
            if key in seen:
                continue
            seen.add(key)
            entries = _entries(info)
            name, version = _name_and_version(info) if entries else ("", "")
            found += [EntryPoint(left, right, name, version) for left, right in entries if name]
    return sorted(found, key=lambda entry: (entry.distribution, entry.name))


def _metadata_folders(folder: str) -> Iterator[str]:
    """Yield the metadata folders in `folder`."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # not a folder: a zip file, or gone
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            yield os.path.join(folder, name)


def _name_and_version(info: str) -> tuple[str, str]:
    metadata = _read(os.path.join(info, "METADATA")) or _read(os.path.join(info, "PKG-INFO"))
    fields = {"name": "", "version": ""}
    for line in metadata.splitlines():
        if not line:  # the header ends at the first empty line
            break
        key, _, value = line.partition(":")
        if key.lower() in fields:
            fields[key.lower()] = value.strip()
    return fields["name"], fields["version"]


def _entries(info: str) -> list[tuple[str, str]]:
    section, found = "", []
    for line in _read(os.path.join(info, "entry_points.txt")).splitlines():
        text = line.strip()
        if text.startswith("["):
            section = text.strip("[]")
        elif section == GROUP and "=" in text and not text.startswith(("#", ";")):
            left, _, right = text.partition("=")
            found.append((left.strip(), right.partition("[")[0].strip()))
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""

"""Publishing to where zoo cannot write: the files are laid out in a folder, and then brought there by hand.

The order matters: the blob first, the index last, so that at no moment the index names what is not there.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from zoo.errors import InvalidValue
from zoo.registry import INDEX
from zoo.registry.editing import Draft, is_writable
from zoo.store.folder import FolderPlace

if TYPE_CHECKING:
    from zoo.transports import Place, WritablePlace


def check_target(place: Place, base: str, stage: Path | None) -> None:
    """Refuse a place that cannot be written to, and a folder to lay files out in that is not empty.

    Raises:
        InvalidValue: It is one.
    """
    if stage is None:
        if not is_writable(place):
            raise InvalidValue(
                f"{base} takes no files from zoo. Say a folder to lay them out in (--stage DIR): "
                "it gets what belongs there, with the commands that bring it up."
            )
    elif stage.exists() and (not stage.is_dir() or any(stage.iterdir())):
        raise InvalidValue(
            f"{stage} is there already. What is laid out goes into a folder of its own; name a new one."
        )


def check_writable(place: Place, stage: Path | None, paths: Iterable[str]) -> None:
    """See that these files could be written to a folder, or laid out in one; elsewhere only writing tells.

    Raises:
        FetchError: One could not.
    """
    folder = place if stage is None else FolderPlace(str(stage))
    if isinstance(folder, FolderPlace):
        for path in paths:
            folder.check_writable(path)


def target_of(place: Place, base: str, stage: Path | None, draft: Draft) -> WritablePlace:
    """Where to write: the place itself, or a folder that begins with the index of that place.

    Raises:
        InvalidValue: As in `check_target`.
        FetchError: The folder cannot be written to.
    """
    check_target(place, base, stage)
    if stage is None:
        assert is_writable(place)  # noqa: S101 - checked above; for the type checker
        return place
    folder = FolderPlace(str(stage))
    if draft.content is not None:
        folder.create(INDEX, draft.content)
    return folder


def commands(base: str, stage: Path) -> list[str]:
    """How what was laid out comes to its place: shell commands, in their order."""
    parts = ["blobs", INDEX] if (stage / "blobs").is_dir() else [INDEX]
    return [_command(base, f"{stage}/{part}", part) for part in parts]


def _command(base: str, source: str, part: str) -> str:
    scheme, _, rest = base.partition("://")
    is_folder = part == "blobs"
    if scheme == "hf":
        repository, _, revision = rest.partition("@")
        at = ["--revision", revision] if revision else []
        return shlex.join(["hf", "upload", repository, source, part, *at])
    if scheme == "s3":
        how = ["--recursive"] if is_folder else []
        return shlex.join(["aws", "s3", "cp", *how, source, f"{base}/{part}"])
    if scheme not in ("https", "http") and rest:
        return f"# copy {source} to {base}/{part}"
    # What a web server calls a folder is not where it lies on its disk: that only its owner knows.
    there = f"{urlsplit(base).hostname}:/FOLDER/OF/THE/REGISTRY" if rest else base
    how, end = (["-rt", "--ignore-existing"], "/") if is_folder else (["-t"], "")
    return shlex.join(["rsync", *how, f"{source}{end}", f"{there}/{part}{end}"])

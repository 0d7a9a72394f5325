"""From what a command was given, a file or a ref, to a model with its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.composition.model import Model


def open_model(what: str) -> Model:
    """Return the model of a file that `zoo.save` wrote, or of a ref, with its weights.

    A name without a dot or slash is always a ref, whatever lies in the current folder.

    Raises:
        ZooError: There is no such file or version, or it is not what it should be.
    """
    from zoo.api import create, load

    is_file = what.endswith(".safetensors") or (
        ("/" in what or "." in what) and Path(what).is_file()
    )
    return load(what) if is_file else create(what, pretrained=True)

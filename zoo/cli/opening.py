"""From what a command was given, a file, the folder of a run or a ref, to a model with its weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import InvalidValue

if TYPE_CHECKING:
    from zoo.composition.model import Model


def open_model(what: str) -> Model:
    """Return the model of a file that `zoo.save` wrote, of a run (its best), or of a ref, with its weights.

    A name without a dot or slash is always a ref, whatever lies in the current folder.

    Raises:
        ZooError: There is no such file or version, or it is not what it should be.
    """
    from zoo.api import create, load

    file = file_of(what)
    return create(what, pretrained=True) if file is None else load(file)


def published_figures(what: str) -> dict[str, Any]:
    """The figures that a file or a registry says of a model, by `dataset/split/measure`."""
    return _said(what, "metrics")


def provenance(what: str) -> dict[str, Any]:
    """What a file or a registry says of where a model came from."""
    return _said(what, "provenance")


def _said(what: str, field: Literal["metrics", "provenance"]) -> dict[str, Any]:
    from zoo.api import describe

    file = file_of(what)
    if file is None:
        said: dict[str, Any] = getattr(describe(what), field)
        return said
    from zoo.files import read_whole
    from zoo.weights import parse

    content = parse(read_whole(file), str(file)).metadata.get(field)
    return content if isinstance(content, dict) else {}


def file_of(what: str) -> Path | None:
    """The file that a word on the command line means, for the folder of a run its best model; None for a ref.

    Raises:
        InvalidValue: It is a YAML file, which holds no weights.
    """
    if what.endswith(".safetensors"):
        return Path(what)
    if "/" not in what and "." not in what:
        return None
    if os.path.isfile(os.path.join(what, "run.json")):
        return Path(what, "best.safetensors")
    if not os.path.isfile(what):
        return None
    if what.endswith((".yaml", ".yml")):
        raise InvalidValue(
            f"{what} is a YAML file and holds no model; `zoo train {what} --data DATA` makes one of it."
        )
    return Path(what)

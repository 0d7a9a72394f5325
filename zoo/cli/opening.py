"""From what a command was given, a file or a ref, to a model with its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from zoo.composition.model import Model


def open_model(what: str) -> Model:
    """Return the model of a file that `zoo.save` wrote, or of a ref, with its weights.

    A name without a dot or slash is always a ref, whatever lies in the current folder.

    Raises:
        ZooError: There is no such file or version, or it is not what it should be.
    """
    from zoo.api import create, load

    return load(what) if is_file(what) else create(what, pretrained=True)


def published_figures(what: str) -> dict[str, Any]:
    """The figures that a file or a registry says of a model, by `dataset/split/measure`."""
    return _said(what, "metrics")


def provenance(what: str) -> dict[str, Any]:
    """What a file or a registry says of where a model came from."""
    return _said(what, "provenance")


def _said(what: str, field: Literal["metrics", "provenance"]) -> dict[str, Any]:
    from zoo.api import describe

    if not is_file(what):
        said: dict[str, Any] = getattr(describe(what), field)
        return said
    from zoo.files import read_whole
    from zoo.weights import parse

    content = parse(read_whole(Path(what)), what).metadata.get(field)
    return content if isinstance(content, dict) else {}


def is_file(what: str) -> bool:
    """Whether a word on the command line means a file, and not a ref."""
    return what.endswith(".safetensors") or (("/" in what or "." in what) and Path(what).is_file())

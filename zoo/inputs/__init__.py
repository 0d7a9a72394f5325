"""Preprocessing: from what a user has to the tensor that a model takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from zoo.spec import ImageInput, Input


def make_transform(input_spec: Input) -> Callable[[Any], Tensor]:
    """Return the preprocessing that an input block asks for: one sample -> a tensor without batch axis."""
    if isinstance(input_spec, ImageInput):
        from zoo.inputs.image import ImageTransform

        return ImageTransform(input_spec)
    from zoo.inputs.sequence import SequenceTransform

    return SequenceTransform(input_spec)

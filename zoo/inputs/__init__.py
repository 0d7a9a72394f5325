"""Preprocessing: from what a user has to the tensor that a model takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from zoo.spec import AudioInput, ImageInput, Input, TextInput


def make_transform(input_spec: Input, *, vocabulary: Sequence[str] = ()) -> Callable[[Any], Tensor]:
    """Return the preprocessing that an input block asks for: one sample -> a tensor without batch axis.

    Args:
        input_spec: The input block.
        vocabulary: For texts, the tokens in the order of their numbers.
    """
    if isinstance(input_spec, ImageInput):
        from zoo.inputs.image import ImageTransform

        return ImageTransform(input_spec)
    if isinstance(input_spec, AudioInput):
        from zoo.inputs.audio import AudioTransform

        return AudioTransform(input_spec)
    if isinstance(input_spec, TextInput):
        from zoo.inputs.text import TextTransform

        return TextTransform(input_spec, vocabulary)
    from zoo.inputs.sequence import SequenceTransform

    return SequenceTransform(input_spec)

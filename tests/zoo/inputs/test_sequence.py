"""Sequences of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from zoo import InvalidValue
from zoo.inputs import make_transform
from zoo.spec import SequenceInput

TRANSFORM = make_transform(SequenceInput(channels=2))


@pytest.mark.parametrize(
    "sample",
    [
        [[1, 2, 3], [4, 5, 6]],
        np.array([[1, 2, 3], [4, 5, 6]]),
        torch.tensor([[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_lists_arrays_and_tensors_become_float_tensors(sample: Any) -> None:
    """Of the shape (channels, length)."""
    y = TRANSFORM(sample)
    assert y.dtype == torch.float32
    assert y.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_sample_is_not_shared() -> None:
    """Read-only arrays work, and writing to the tensor leaves the array alone."""
    array = np.zeros((2, 3), np.float32)
    array.flags.writeable = False
    TRANSFORM(array).fill_(1)
    assert not array.any()


@pytest.mark.parametrize("sample", ["abc", [[1], [1, 2]], {"a": 1}, [["a", "b"]]])
def test_what_is_no_array_of_numbers_is_refused(sample: Any) -> None:
    """With its type."""
    with pytest.raises(
        InvalidValue, match=f"A sequence is an array of numbers; got {type(sample).__name__}"
    ):
        TRANSFORM(sample)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (1, 2, 3), ()])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    """With the one that fits."""
    with pytest.raises(InvalidValue, match=r"The model takes \(2, length\); got an array of shape"):
        TRANSFORM(np.zeros(shape))

"""Data sets that were read."""

from __future__ import annotations

import pytest
import torch

from zoo.errors import InvalidValue
from zoo.train.data.dataset import make_data, measure
from zoo.train.data.splits import ImageSplit


def test_mean_and_std_are_those_of_the_pixels() -> None:
    """Measured over all pixels of each channel, from 0 to 1, to four places."""
    images = torch.randint(
        0, 256, (2500, 3, 5, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    mean, std = measure(images)
    pixels = images.double() / 255
    assert mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=6e-5)
    assert std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), abs=6e-5)


def test_a_channel_that_never_changes_has_a_std() -> None:
    """Normalising it must not divide by zero."""
    assert measure(torch.full((2, 1, 2, 2), 51, dtype=torch.uint8)) == ((0.2,), (1e-4,))


def test_impossible_splits_are_refused() -> None:
    """An empty split and a label beyond the classes are named."""
    full = ImageSplit(torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1]))
    empty = ImageSplit(full.images[:0], full.labels[:0])
    with pytest.raises(InvalidValue, match="x: the validation split is empty"):
        make_data("x", ("a", "b"), train=full, validation=empty, test=full)
    with pytest.raises(InvalidValue, match="labels of train are not all from 0 to 0"):
        make_data("x", ("a",), train=full, validation=full, test=full)

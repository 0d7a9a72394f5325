"""Pixels to what a model takes."""

from __future__ import annotations

import pytest
import torch

from zoo.errors import InvalidValue
from zoo.spec import ImageInput, TextInput
from zoo.train.normalization import Normalization, make_normalization


def test_pixels_are_scaled_then_normalised() -> None:
    """A pixel p of a channel becomes (p / 255 - mean) / std."""
    source = ImageInput(channels=2, mean=(0.2, 0.4), std=(0.5, 0.25))
    images = torch.tensor([0, 255], dtype=torch.uint8).view(1, 2, 1, 1)
    expected = torch.tensor([(0 - 0.2) / 0.5, (1 - 0.4) / 0.25])
    assert torch.allclose(Normalization(source)(images).flatten(), expected)


def test_without_mean_and_std_pixels_are_only_scaled() -> None:
    """An input block without mean and std asks for values from 0 to 1."""
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    assert Normalization(ImageInput(channels=3))(images).flatten().tolist() == pytest.approx(
        [0, 0.2, 1]
    )


def test_other_images_are_refused() -> None:
    """Neither another number of channels nor another size passes."""
    normalize = Normalization(ImageInput(channels=1, size=(8, 8)))
    with pytest.raises(InvalidValue, match="1 channels and 8x8 pixels; the data has 3 channels"):
        normalize(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(InvalidValue, match="the data has 1 channels and 8x9 pixels"):
        normalize(torch.zeros(1, 1, 8, 9, dtype=torch.uint8))


def test_only_images_are_normalised() -> None:
    """Sounds and texts go to the model as they are stored."""
    tokens = torch.tensor([[2, 3, 0]])
    source = TextInput(vocabulary_size=2, vocabulary_bytes=3)
    assert make_normalization(source)(tokens) is tokens
    assert isinstance(make_normalization(ImageInput(channels=1)), Normalization)

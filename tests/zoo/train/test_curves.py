"""The picture of a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.errors import InvalidValue
from zoo.train.curves import draw_curves

HISTORY = [
    {
        "epoch": float(epoch),
        "train/loss": 2.0 / epoch,
        "validation/loss": 2.2 / epoch,
        "train/top1": 1 - 0.5 / epoch,
        "validation/top1": 1 - 0.6 / epoch,
    }
    for epoch in range(1, 6)
]


def pixels(path: Path) -> np.ndarray:
    """The picture's colours."""
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def has_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Whether more than a speck of the picture has about that colour."""
    return bool((np.abs(picture - np.array(colour)).max(2) < 40).sum() > 50)


def test_both_splits_are_drawn_and_the_best_epoch_marked(tmp_path: Path) -> None:
    """Grey for train, blue for validation, orange for the best epoch where it is given."""
    draw_curves(HISTORY, tmp_path / "a.png", title="shades")
    draw_curves(HISTORY, tmp_path / "b.png", title="shades", best_epoch=4)
    plain, marked = pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")
    assert plain.shape == (432, 1080, 3)
    for picture in (plain, marked):
        assert has_colour(picture, (0x8C, 0x8C, 0x8C))
        assert has_colour(picture, (0x1F, 0x6F, 0xB4))
    assert has_colour(marked, (0xD9, 0x82, 0x2B))
    assert not has_colour(plain, (0xD9, 0x82, 0x2B))


def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Its folder is missing."""
    with pytest.raises(InvalidValue, match="cannot be written"):
        draw_curves(HISTORY, tmp_path / "none" / "a.png", title="shades")

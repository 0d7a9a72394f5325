"""Digits drawn as MNIST has them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from zoo.demo.digits import as_mnist, draw_digits


def test_every_digit_is_drawn_both_ways():
    """There are ten digits by font and ten by strokes, no two alike, the same at every call."""
    drawn = draw_digits()

    assert [(one.digit, one.how) for one in drawn] == [
        (digit, how) for how in ("font", "strokes") for digit in range(10)
    ]
    pixels = [one.image.tobytes() for one in drawn]
    assert len(set(pixels)) == 20
    assert pixels == [one.image.tobytes() for one in draw_digits()]


@pytest.mark.parametrize("one", draw_digits(), ids=lambda one: f"{one.how}-{one.digit}")
def test_the_format_is_that_of_mnist(one):
    """White on black, anti-aliased, at most 20 pixels high and wide, its mass in the centre."""
    values = np.asarray(one.image, dtype=float)
    rows, columns = np.nonzero(values)

    assert one.image.mode == "L"
    assert values.shape == (28, 28)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert values.max() == 255
    assert ((values > 0) & (values < 255)).sum() > 10
    place = np.arange(28) + 0.5
    assert abs((values.sum(0) * place).sum() / values.sum() - 14) <= 0.5
    assert abs((values.sum(1) * place).sum() / values.sum() - 14) <= 0.5


def test_any_drawing_is_brought_into_the_format():
    """A wide bar in a corner of a large canvas becomes 20 pixels wide, in the centre."""
    canvas = Image.new("L", (300, 200))
    ImageDraw.Draw(canvas).rectangle((0, 0, 199, 19), fill=255)

    assert as_mnist(canvas).getbbox() == (4, 13, 24, 15)

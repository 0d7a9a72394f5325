"""The demo's picture."""

from __future__ import annotations

import numpy as np
from PIL import Image

from zoo.demo.picture import Card, Section, lay_out, overlay

DIGIT = Image.new("L", (28, 28))


def card(attention=None, *, label="7", probability=0.5):
    """A card of a black input."""
    return Card(DIGIT, "7", label, probability, attention)


def has(picture, colour):
    """How many pixels have a colour."""
    wanted = tuple(bytes.fromhex(colour))
    return int((np.asarray(picture) == wanted).all(-1).sum())


def test_the_heat_is_where_the_attention_looked():
    """The brightest part of the overlay is over the position with the largest weight."""
    attention = np.zeros((7, 7), np.float32)
    attention[1, 5] = 4.0

    heat = np.asarray(overlay(DIGIT, attention, 4.0, (168, 168))).sum(-1)
    row, column = np.unravel_index(heat.argmax(), heat.shape)

    assert (row // 24, column // 24) == (1, 5)
    assert heat[100:, :100].max() < heat.max() / 4


def test_the_pen_stays_visible_under_the_heat():
    """A white pixel is lighter than a black one under the same heat."""
    halves = Image.fromarray(np.repeat([[0, 255]], 28, 0).astype(np.uint8)).resize(
        (28, 28), Image.Resampling.NEAREST
    )

    for weight in (0.0, 0.5, 1.0):
        shown = np.asarray(
            overlay(halves, np.full((7, 7), weight, np.float32), 1.0, (168, 168)), int
        ).sum(-1)
        assert shown[84, 20] < shown[84, 148]


def test_right_and_wrong_have_their_colours():
    """The bar is as long as the probability, green where the label is the truth and red where it is not."""
    right = lay_out("m", "", [Section("", [card(probability=0.5)])])
    sure = lay_out("m", "", [Section("", [card(probability=1.0)])])
    wrong = lay_out("m", "", [Section("", [card(label="1")])])

    assert has(right, "1a8a6b") > 0
    assert has(right, "d1493f") == 0
    assert has(sure, "1a8a6b") - has(right, "1a8a6b") >= 84 * 10 - 20
    assert has(wrong, "d1493f") > 0
    assert has(wrong, "1a8a6b") == 0


def test_attention_adds_a_row_and_a_legend():
    """Where nothing tells what was looked at, the picture has neither overlay nor legend."""
    attention = np.ones((7, 7), np.float32)
    without = lay_out("m", "", [Section("", [card(), card()])])
    with_it = lay_out("m", "", [Section("", [card(attention), card(attention)])])

    assert with_it.width == without.width
    assert with_it.height > without.height + 168


def test_attention_that_is_zero_everywhere_is_no_fault():
    """A gate that is closed everywhere is shown black."""
    picture = lay_out("m", "", [Section("", [card(np.zeros((7, 7), np.float32))])])

    assert picture.width > 168

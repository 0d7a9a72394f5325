"""Lays out one picture: what a model was shown, what it said, and where its attention looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

ZOOM = 6  # pixels of the picture for each pixel of an input, a side

_MARGIN, _GAP, _CARD_GAP = 48, 14, 44
_PAPER, _INK, _PALE, _TRACK = "#ffffff", "#1b1f27", "#69707d", "#e6e8ec"
_RIGHT, _WRONG = "#1a8a6b", "#d1493f"
_HEAT = ((6, 4, 24), (74, 16, 108), (160, 42, 100), (226, 88, 52), (250, 164, 30), (252, 244, 160))

Map = NDArray[np.float32]


class Card(NamedTuple):
    """One input and what became of it.

    Attributes:
        image: The input, grey.
        truth: What was drawn.
        label: What the model says.
        probability: How sure it is, from 0 to 1.
        attention: (H, W), how much each position is looked at, 1 on average; None if nothing tells.
    """

    image: Image.Image
    truth: str
    label: str
    probability: float
    attention: Map | None = None


class Section(NamedTuple):
    """A row of cards under a heading."""

    heading: str
    cards: Sequence[Card]


def lay_out(title: str, subtitle: str, sections: Sequence[Section]) -> Image.Image:
    """Return the picture.

    Args:
        title: Which model.
        subtitle: What there is to know about it.
        sections: What it was shown; all inputs have the same size.
    """
    cards = [card for section in sections for card in section.cards]
    tile = (cards[0].image.width * ZOOM, cards[0].image.height * ZOOM)
    maps = [card.attention for card in cards if card.attention is not None]
    hottest = _hottest(maps)
    height_of_card = tile[1] + _GAP + (tile[1] + _GAP if maps else 0) + 62
    columns = max(len(section.cards) for section in sections)
    width = 2 * _MARGIN + columns * tile[0] + (columns - 1) * _GAP
    height = (
        2 * _MARGIN
        + 96
        + len(sections) * (46 + height_of_card + _CARD_GAP)
        + (64 if maps else -_CARD_GAP)
    )
    picture = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), title, fill=_INK, font=_font(44), anchor="lt")
    draw.text((_MARGIN, _MARGIN + 58), subtitle, fill=_PALE, font=_font(24), anchor="lt")
    top = _MARGIN + 112
    for section in sections:
        draw.text((_MARGIN, top), section.heading, fill=_INK, font=_font(28), anchor="lt")
        for number, card in enumerate(section.cards):
            _draw_card(
                picture, card, (_MARGIN + number * (tile[0] + _GAP), top + 44), tile, hottest
            )
        top += 46 + height_of_card + _CARD_GAP
    if maps:
        _draw_legend(picture, (_MARGIN, top), hottest)
    return picture


def overlay(
    image: Image.Image, attention: Map, hottest: float, size: tuple[int, int]
) -> Image.Image:
    """Return a digit under the heat of where the attention looked.

    Args:
        image: The digit, white on black.
        attention: (H, W), as in `Card`.
        hottest: The value that gets the hottest colour.
        size: (width, height) in pixels of what is returned.
    """
    coarse = Image.fromarray(np.asarray(attention, np.float32) / hottest)
    heat = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)).clip(0.0, 1.0)
    digit = (
        np.asarray(image.convert("L").resize(size, Image.Resampling.BICUBIC), np.float32)[..., None]
        / 255
    )
    colours = _colours(heat)
    # The pen is lighter than the heat around it, so that both can be read.
    blended = colours + (255 - colours) * 0.45 * digit
    return Image.fromarray(blended.astype(np.uint8))


def _draw_card(
    picture: Image.Image, card: Card, at: tuple[int, int], tile: tuple[int, int], hottest: float
) -> None:
    draw = ImageDraw.Draw(picture)
    left, top = at
    picture.paste(card.image.convert("RGB").resize(tile, Image.Resampling.NEAREST), at)
    top += tile[1] + _GAP
    if card.attention is not None:
        picture.paste(overlay(card.image, card.attention, hottest, tile), (left, top))
        top += tile[1] + _GAP
    right = left + tile[0]
    colour = _RIGHT if card.label == card.truth else _WRONG
    draw.text(
        (left, top + 28),
        card.label[:10],
        fill=colour,
        font=_font(36 if len(card.label) < 4 else 22),
        anchor="ls",
    )
    draw.text(
        (right, top + 28), f"{100 * card.probability:.1f} %", fill=_INK, font=_font(24), anchor="rs"
    )
    draw.rectangle((left, top + 40, right - 1, top + 49), fill=_TRACK)
    filled = left + max(2, round(card.probability * tile[0])) - 1
    draw.rectangle((left, top + 40, filled, top + 49), fill=colour)


def _draw_legend(picture: Image.Image, at: tuple[int, int], hottest: float) -> None:
    """A strip of the heat's colours, with what they mean."""
    draw = ImageDraw.Draw(picture)
    left, top = at
    length = 420
    strip = _colours(np.tile(np.linspace(0.0, 1.0, length, dtype=np.float32), (22, 1)))
    picture.paste(Image.fromarray(strip.astype(np.uint8)), (left, top))
    step = next((step for step in (1, 2, 5, 10, 20, 50) if hottest / step <= 6), 100)
    for value in range(0, int(hottest) + 1, step):
        x = left + round(value / hottest * (length - 1))
        draw.line((x, top + 22, x, top + 30), fill=_INK, width=2)
        draw.text((x, top + 36), str(value), fill=_INK, font=_font(22), anchor="mt")
    words = f"how much a position is looked at: 1 is the average, the last colour {hottest:.1f} and more"
    draw.text((left + length + 24, top + 11), words, fill=_PALE, font=_font(24), anchor="lm")


def _hottest(maps: Sequence[Map]) -> float:
    """The value that gets the hottest colour: few images go beyond it, so that the others are not pale."""
    peaks = [float(np.max(values)) for values in maps]
    return max(float(np.percentile(peaks, 75)), 1e-6) if peaks else 1.0


def _colours(values: Map) -> Map:
    """Colours (..., 3) from 0 to 255 for values from 0 to 1."""
    stops = np.linspace(0.0, 1.0, len(_HEAT))
    channels = [np.interp(values, stops, [colour[part] for colour in _HEAT]) for part in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)

"""Draws digits as MNIST has them, without any data set: by a font, and by strokes of a pen.

Format   white on black, 28x28 pixels, anti-aliased; the digit fills a 20x20 box that is placed so that
         its centre of mass is the image's centre (LeCun et al., "Gradient-Based Learning Applied to
         Document Recognition", Proc. IEEE 1998, section III.A)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

SIDE = 28
BOX = 20

_CANVAS = 400  # pixels a side that digits are drawn on before they are made small

Point = tuple[float, float]


class Drawn(NamedTuple):
    """A digit that was drawn.

    Attributes:
        digit: Which one, from 0 to 9.
        how: `font` or `strokes`.
        image: 28x28 grey pixels.
    """

    digit: int
    how: str
    image: Image.Image


# The way a pen takes, in a unit square with y downwards; each stroke is a smooth curve through its points.
_STROKES: dict[int, tuple[tuple[Point, ...], ...]] = {
    0: (((0.55, 0.05), (0.28, 0.2), (0.2, 0.55), (0.36, 0.92), (0.65, 0.9), (0.8, 0.52), (0.72, 0.18), (0.5, 0.05)),),
    1: (((0.6, 0.04), (0.54, 0.5), (0.46, 0.96)),),
    2: (
        ((0.22, 0.28), (0.34, 0.09), (0.62, 0.07), (0.73, 0.28), (0.55, 0.58), (0.2, 0.92)),
        ((0.2, 0.92), (0.5, 0.88), (0.82, 0.92)),
    ),
    3: (
        ((0.22, 0.15), (0.48, 0.05), (0.71, 0.2), (0.62, 0.4), (0.4, 0.47)),
        ((0.4, 0.47), (0.7, 0.53), (0.78, 0.74), (0.56, 0.94), (0.2, 0.87)),
    ),
    4: (
        ((0.36, 0.06), (0.28, 0.34), (0.18, 0.58)),
        ((0.18, 0.58), (0.5, 0.56), (0.84, 0.55)),
        ((0.68, 0.26), (0.62, 0.6), (0.56, 0.96)),
    ),
    5: (
        ((0.76, 0.07), (0.54, 0.08), (0.33, 0.07)),
        ((0.33, 0.07), (0.29, 0.25), (0.27, 0.44)),
        ((0.27, 0.44), (0.53, 0.38), (0.76, 0.56), (0.68, 0.84), (0.44, 0.95), (0.2, 0.87)),
    ),
    6: (((0.66, 0.05), (0.38, 0.3), (0.26, 0.66), (0.42, 0.93), (0.68, 0.88), (0.72, 0.66), (0.52, 0.54), (0.29, 0.68)),),
    7: (
        ((0.2, 0.11), (0.5, 0.09), (0.8, 0.08)),
        ((0.8, 0.08), (0.6, 0.42), (0.44, 0.95)),
    ),
    8: (
        (
            (0.7, 0.16), (0.5, 0.06), (0.32, 0.2), (0.48, 0.45), (0.7, 0.7), (0.52, 0.94),
            (0.29, 0.78), (0.46, 0.5), (0.68, 0.3), (0.7, 0.16),
        ),
    ),
    9: (
        ((0.7, 0.2), (0.5, 0.06), (0.3, 0.22), (0.36, 0.44), (0.58, 0.44), (0.71, 0.22)),
        ((0.71, 0.22), (0.68, 0.58), (0.58, 0.96)),
    ),
}  # fmt: skip


def draw_digits() -> list[Drawn]:
    """Draw every digit by font and by strokes; always the same pictures."""
    by_font = [
        Drawn(
            digit,
            "font",
            _by_font(
                digit,
                size=180 + 40 * (digit % 3),
                angle=(3 * digit % 5 - 2) * 6,
                weight=3 * (digit % 4),
            ),
        )
        for digit in range(10)
    ]
    by_strokes = [
        Drawn(
            digit,
            "strokes",
            _by_strokes(digit, pen=30 + 4 * (digit % 4), slant=(digit % 3 - 1) * 0.08),
        )
        for digit in range(10)
    ]
    return by_font + by_strokes


def _by_font(digit: int, *, size: int, angle: float, weight: int) -> Image.Image:
    """Draw a digit in Pillow's own font: `size` and `weight` in pixels, `angle` in degrees."""
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    middle = (_CANVAS / 2, _CANVAS / 2)
    font = ImageFont.load_default(size=size)
    ImageDraw.Draw(canvas).text(
        middle, str(digit), fill=255, font=font, anchor="mm", stroke_width=weight
    )
    return as_mnist(canvas.rotate(angle, Image.Resampling.BICUBIC))


def _by_strokes(digit: int, *, pen: float, slant: float) -> Image.Image:
    """Draw a digit with a round pen of `pen` pixels, its top moved to the right by `slant` of its height."""
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    draw = ImageDraw.Draw(canvas)
    scale, margin = 0.7 * _CANVAS, 0.15 * _CANVAS
    for stroke in _STROKES[digit]:
        for x, y in _curve(stroke):
            across, down = margin + scale * (x + slant * (0.5 - y)), margin + scale * y
            draw.ellipse(
                (across - pen / 2, down - pen / 2, across + pen / 2, down + pen / 2), fill=255
            )
    return as_mnist(canvas)


def as_mnist(canvas: Image.Image) -> Image.Image:
    """Bring a white drawing on black into MNIST's format.

    Args:
        canvas: Grey pixels, of any size; not all black.
    """
    drawing = canvas.crop(canvas.getbbox())
    scale = BOX / max(drawing.size)
    width, height = (max(1, round(scale * side)) for side in drawing.size)
    small = drawing.resize((width, height), Image.Resampling.BOX)
    across, down = _centre_of_mass(small)
    left = min(max(round(SIDE / 2 - across), 0), SIDE - width)
    top = min(max(round(SIDE / 2 - down), 0), SIDE - height)
    image = Image.new("L", (SIDE, SIDE))
    image.paste(small, (left, top))
    return image


def _centre_of_mass(image: Image.Image) -> Point:
    rows = [image.crop((0, y, image.width, y + 1)).tobytes() for y in range(image.height)]
    total = sum(map(sum, rows)) or 1
    across = sum((x + 0.5) * value for row in rows for x, value in enumerate(row)) / total
    return across, sum((y + 0.5) * sum(row) for y, row in enumerate(rows)) / total


def _curve(points: Sequence[Point], *, steps: int = 60) -> list[Point]:
    """Points along a smooth curve (Catmull-Rom) through `points`."""
    curve = []
    for number in range(len(points) - 1):
        before, start, end, after = (
            points[min(max(number + offset, 0), len(points) - 1)] for offset in (-1, 0, 1, 2)
        )
        for step in range(steps + 1):
            t = step / steps
            curve.append(
                tuple(
                    _between(a, b, c, d, t)
                    for a, b, c, d in zip(before, start, end, after, strict=True)
                )
            )
    return curve  # type: ignore[return-value]  # two coordinates each


def _between(before: float, start: float, end: float, after: float, t: float) -> float:
    return 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * (start - end) + after - before) * t**3
    )

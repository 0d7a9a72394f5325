"""Augmentation of images: batches of uint8 (N, C, H, W)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional

from zoo.errors import InvalidValue


class Crop:
    """Move each image by up to `padding` pixels either way; the border shows what `border` says.

    Args:
        padding: Pixels, at least 1, and less than the images' sides.
        border: `reflect` mirrors the image, `black` is 0.
    """

    def __init__(
        self, *, padding: int = 4, border: Literal["reflect", "black"] = "reflect"
    ) -> None:
        if padding < 1 or border not in ("reflect", "black"):
            raise InvalidValue(
                f"crop: padding {padding!r} with border {border!r}; give 1 or more, reflect or black."
            )
        self.padding, self.border = padding, border

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the moved images.

        Raises:
            InvalidValue: The padding is so large that nothing of an image might be left.
        """
        count, channels, height, width = images.shape
        if self.padding >= min(height, width):
            raise InvalidValue(
                f"crop: padding {self.padding} would move images of {width}x{height} out of sight; give less than their "
                "sides."
            )
        limit = 2 * self.padding + 1
        shifts = torch.randint(limit, (2, count, 1), generator=generator) - self.padding
        rows = torch.arange(height) + shifts[0]  # (N, H)
        columns = torch.arange(width) + shifts[1]  # (N, W)
        inside = (_within(rows, height), _within(columns, width))
        rows = _mirrored(rows, height).to(images.device)
        columns = _mirrored(columns, width).to(images.device)
        # One flat index for each pixel (N, H W), the same for all channels.
        places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
        pixels = places[:, None].expand(-1, channels, -1)
        moved = images.flatten(2).gather(2, pixels).view_as(images)
        if self.border == "black":
            shown = (inside[0][:, None, :, None] & inside[1][:, None, None, :]).to(images.device)
            moved = moved * shown
        return moved


class Flip:
    """Mirror each image left to right, with probability `probability`."""

    def __init__(self, *, probability: float = 0.5) -> None:
        if not 0.0 <= probability <= 1.0:
            raise InvalidValue(f"flip: probability is {probability!r}; give a number in [0, 1].")
        self.probability = probability

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the images, some of them mirrored."""
        chosen = torch.rand(len(images), generator=generator) < self.probability
        return torch.where(chosen.to(images.device)[:, None, None, None], images.flip(3), images)


class Cutout:
    """Grey a square of each image, its centre anywhere (DeVries, Taylor 2017, arXiv 1708.04552).

    Args:
        size: Side of the square in pixels, at least 1; the part inside the image is greyed.
        value: Of the greyed pixels, 0 to 255.
    """

    def __init__(self, *, size: int = 8, value: int = 120) -> None:
        if size < 1 or not 0 <= value <= 255:
            raise InvalidValue(
                f"cutout: size {size!r}, value {value!r}; give 1 or more, and 0 to 255."
            )
        self.size, self.value = size, value

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the images with their squares greyed."""
        hidden = []
        for side in images.shape[2:]:
            first = torch.randint(side, (len(images), 1), generator=generator) - self.size // 2
            offset = torch.arange(side) - first
            hidden.append((offset >= 0) & (offset < self.size))  # (N, side)
        square = hidden[0][:, None, :, None] & hidden[1][:, None, None, :]
        return images.masked_fill(square.to(images.device), self.value)


class Affine:
    """Turn, scale and move each image a little; what comes from outside is black.

    Args:
        degrees: Greatest turn either way, 0 to 180.
        scale: Greatest change of size, as a share of 1, in [0, 1).
        shift: Greatest move either way, in pixels.
    """

    def __init__(self, *, degrees: float = 10.0, scale: float = 0.1, shift: float = 2.0) -> None:
        if not 0.0 <= degrees <= 180.0 or not 0.0 <= scale < 1.0 or not 0.0 <= shift < math.inf:
            raise InvalidValue(
                f"affine: degrees {degrees!r}, scale {scale!r}, shift {shift!r};"
                " give 0 to 180, a share in [0, 1), and pixels of at least 0."
            )
        self.degrees, self.scale, self.shift = degrees, scale, shift

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the changed images."""
        height, width = images.shape[2:]
        draws = torch.rand(4, len(images), generator=generator) * 2 - 1  # in [-1, 1)
        angle, size = draws[0] * math.radians(self.degrees), 1 / (1 + draws[1] * self.scale)
        cos, sin = angle.cos() * size, angle.sin() * size
        # Coordinates run from -1 to 1 along each side, so that a turn must know how the sides compare.
        rows = [
            torch.stack([cos, -sin * (height / width), draws[2] * self.shift * 2 / width], 1),
            torch.stack([sin * (width / height), cos, draws[3] * self.shift * 2 / height], 1),
        ]
        matrices = torch.stack(rows, 1).to(images.device)  # (N, 2, 3)
        grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
        changed = functional.grid_sample(images.float(), grid, align_corners=False)
        return changed.round_().to(images.dtype)


def _within(places: Tensor, size: int) -> Tensor:
    return (places >= 0) & (places < size)


def _mirrored(places: Tensor, size: int) -> Tensor:
    """Places outside [0, size), by less than `size`, mirrored at the first and last pixel."""
    return size - 1 - (size - 1 - places.abs()).abs()

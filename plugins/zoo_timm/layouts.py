"""One layout for what timm models compute: (N, C, H, W)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zoo import InvalidValue


def as_map(
    y: Any, *, name: str, image: tuple[int, int], channels_last: bool, prefix: int
) -> Tensor:
    """Present an output of a timm model as a map (N, C, H, W).

    Args:
        y: (N, C, H, W), (N, H, W, C), or tokens (N, prefix + H * W, C).
        name: Of the model, for messages.
        image: Height and width of the image, whose proportions a map of tokens has.
        channels_last: Whether an output of four axes is (N, H, W, C).
        prefix: Number of tokens before those of the positions, e.g. a class token; they are left out.

    Raises:
        InvalidValue: It is none of these.
    """
    if isinstance(y, Tensor) and y.ndim == 4:
        return y.permute(0, 3, 1, 2) if channels_last else y
    if isinstance(y, Tensor) and y.ndim == 3:
        positions = y.shape[1] - prefix
        height = round((positions * image[0] / image[1]) ** 0.5)
        if height and positions % height == 0:
            maps = y[:, prefix:].transpose(1, 2)
            return maps.reshape(*maps.shape[:2], height, positions // height)
    shape = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
    raise InvalidValue(f"{name} gives no map of features but {shape}: it cannot be a backbone.")

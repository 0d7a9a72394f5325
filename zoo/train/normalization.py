"""From samples as they are stored to what a model's input block asks for, whole batches at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zoo.errors import InvalidValue
from zoo.spec import ImageInput, Input


def make_normalization(source: Input) -> Callable[[Tensor], Tensor]:
    """What a batch goes through right before the model: images are normalised, all else stays."""
    return Normalization(source) if isinstance(source, ImageInput) else _as_it_is


def _as_it_is(x: Tensor) -> Tensor:
    return x


class Normalization:
    """Scale uint8 images to [0, 1] and normalise them as an input block says.

    Args:
        source: The input block of a model's spec.

    Raises:
        InvalidValue: When called: the images do not fit it.
    """

    def __init__(self, source: ImageInput) -> None:
        mean, std = source.mean or (0.0,) * source.channels, source.std or (1.0,) * source.channels
        self.source = source
        self._factor = torch.tensor([1 / (255 * s) for s in std]).view(-1, 1, 1)
        self._offset = torch.tensor([m / s for m, s in zip(mean, std, strict=True)]).view(-1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Return uint8 images (N, C, H, W) as normalised float32."""
        self.check(images)
        if self._factor.device != images.device:  # once: to copy them makes a GPU wait
            self._factor, self._offset = (
                self._factor.to(images.device),
                self._offset.to(images.device),
            )
        return images.float().mul_(self._factor).sub_(self._offset)

    def check(self, images: Tensor) -> None:
        """Refuse images of another number of channels or another size than the model is for."""
        channels, size = images.shape[1], tuple(images.shape[2:])
        if channels != self.source.channels or self.source.size not in (None, size):
            asked = (
                "any size" if self.source.size is None else "{}x{} pixels".format(*self.source.size)
            )
            raise InvalidValue(
                f"The model takes images of {self.source.channels} channels and {asked};"
                f" the data has {channels} channels and {size[0]}x{size[1]} pixels."
            )

"""Labelled images in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from zoo.errors import InvalidValue


@dataclass(frozen=True)
class ImageSplit(Dataset[tuple[Tensor, Tensor]]):
    """Images of one size with their classes.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), numbers of classes.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A whole batch at once; the data loader asks for this where it is there."""
        chosen = torch.as_tensor(indices)
        return self.images[chosen], self.labels[chosen]


@dataclass(frozen=True)
class ImageData:
    """A data set with its splits.

    Attributes:
        name: As it stands in the names of metrics, e.g. `mnist/test/top1`.
        labels: Names of the classes, in order.
        train: What is learned from.
        validation: What everything is chosen on.
        test: What is looked at once, at the end.
        mean: Of each channel over train, with pixels from 0 to 1.
        std: Of each channel over train, likewise.
    """

    name: str
    labels: tuple[str, ...]
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    mean: tuple[float, ...]
    std: tuple[float, ...]


def make_data(
    name: str, labels: Sequence[str], *, train: ImageSplit, validation: ImageSplit, test: ImageSplit
) -> ImageData:
    """Put splits together, with mean and standard deviation measured on train.

    Raises:
        InvalidValue: A split is empty, or a label is not the number of a class.
    """
    for split, part in (("train", train), ("validation", validation), ("test", test)):
        if not len(part):
            raise InvalidValue(f"{name}: the {split} split is empty.")
        if not 0 <= int(part.labels.min()) <= int(part.labels.max()) < len(labels):
            raise InvalidValue(
                f"{name}: labels of {split} are not all from 0 to {len(labels) - 1}."
            )
    mean, std = measure(train.images)
    return ImageData(name, tuple(labels), train, validation, test, mean, std)


def measure(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, pixels from 0 to 1, to four places."""
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.transpose(0, 1):  # (N, H, W)
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = float((share * values).sum())
        std = float((share * (values - mean) ** 2).sum().sqrt())
        means.append(round(mean, 4))
        stds.append(max(round(std, 4), 1e-4))  # a channel that never changes must not divide by 0
    return tuple(means), tuple(stds)


def find_file(data: str, root: Path, folders: Sequence[str], names: Sequence[str]) -> Path:
    """The first of `names` in the first of `folders` below `root` that has one.

    Raises:
        InvalidValue: None has one; the message lists where was looked for what.
    """
    for folder in folders:
        for name in names:
            path = root / folder / name
            if path.is_file():
                return path
    places = ", ".join(str(root / folder) for folder in folders)
    raise InvalidValue(f"{data}: there is no {' or '.join(names)} in any of {places}.")

"""A data set that was read: its splits in memory, and the input block that fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import InvalidValue
from zoo.spec import Input, Spec
from zoo.train.data.splits import ImageSplit, Split

_PLURALS = {"image": "images", "audio": "sounds", "text": "texts", "sequence": "sequences"}


@dataclass(frozen=True)
class Data:
    """A data set with its splits.

    Attributes:
        name: As it stands in the names of metrics, e.g. `mnist/test/top1`.
        labels: Names of the classes, in order.
        source: The input block of a model for it.
        train: What is learned from.
        validation: What everything is chosen on.
        test: What is looked at once, at the end.
        vocabulary: For texts, the tokens in the order of their numbers.
        notes: What a user should know of it, one line each.
        members: Where splits were made, the names of the samples in each.
        digests: Of the samples and labels of each split; empty where nobody took them.
    """

    name: str
    labels: tuple[str, ...]
    source: Input
    train: Split
    validation: Split
    test: Split
    vocabulary: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    def split(self, name: str) -> Split:
        """The split of that name, `train`, `validation` or `test`."""
        found: Split = getattr(self, name)
        return found


def input_block(asked: Mapping[str, Any], found: Mapping[str, Any]) -> Input:
    """The input block with what was asked, and for the rest what was found in the data.

    Mean and standard deviation are taken together, from one of the two.

    Raises:
        InvalidSpec: A field is unknown, or its value wrong.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    rest = {name: value for name, value in found.items() if name not in given}
    if "mean" in given or "std" in given:
        rest = {name: value for name, value in rest.items() if name not in ("mean", "std")}
    return Spec.from_data({"input": {**rest, **given}, "backbone": "any"}).input


def check_kind(name: str, kind: str, asked: Mapping[str, Any]) -> None:
    """See that a model takes what the data have.

    Raises:
        InvalidValue: It does not.
    """
    wanted = asked.get("kind", kind)
    if wanted != kind:
        takes, holds = _PLURALS.get(wanted, wanted), _PLURALS[kind]
        raise InvalidValue(
            f"The model takes {takes}, but the data {name!r} are {holds}. Give it {takes}, or take a model whose backbone "
            f"is for {holds}."
        )


def make_data(
    name: str,
    labels: Sequence[str],
    *,
    train: ImageSplit,
    validation: ImageSplit,
    test: ImageSplit,
    asked: Mapping[str, Any] | None = None,
) -> Data:
    """Put splits of images together, with mean and standard deviation measured on train.

    Args:
        name: Of the data set.
        labels: Of its classes.
        train: What is learned from.
        validation: What everything is chosen on.
        test: What is looked at once.
        asked: Fields that the input block has already.

    Raises:
        InvalidValue: A split is empty, or a label is not the number of a class.
    """
    asked = asked or {}
    check_kind(name, "image", asked)
    for split, part in (("train", train), ("validation", validation), ("test", test)):
        if not len(part):
            raise InvalidValue(f"{name}: the {split} split is empty.")
        if not 0 <= int(part.labels.min()) <= int(part.labels.max()) < len(labels):
            raise InvalidValue(
                f"{name}: labels of {split} are not all from 0 to {len(labels) - 1}."
            )
    found = image_fields(train.images)
    if asked.get("channels", found["channels"]) != found["channels"]:
        # Of other channels; that they do not fit is told by the fit.
        del found["mean"], found["std"]
    source = input_block(asked, found)
    return Data(name, tuple(labels), source, train, validation, test)


def image_fields(images: Tensor) -> dict[str, Any]:
    """The input block that images (N, C, H, W) ask for."""
    mean, std = measure(images)
    size = list(images.shape[2:])
    fields = {"channels": images.shape[1], "size": size, "mean": list(mean), "std": list(std)}
    return {"kind": "image", **fields}


def measure(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, pixels from 0 to 1, to four places."""
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.transpose(0, 1):  # (N, H, W)
        # A part at a time: all of them would be copied.
        counts = [torch.bincount(part.flatten(), minlength=256) for part in channel.split(1024)]
        share = torch.stack(counts).sum(0).double() / channel.numel()
        mean = float((share * values).sum())
        std = float((share * (values - mean) ** 2).sum().sqrt())
        means.append(round(mean, 4))
        stds.append(max(round(std, 4), 1e-4))  # a channel that never changes must not divide by 0
    return tuple(means), tuple(stds)


def find_file(data: str, root: Path, folders: Sequence[str], names: Sequence[str]) -> Path:
    """The first of `names` in the first of `folders` below `root` that has one; a folder's ends with a slash.

    Raises:
        InvalidValue: None has one; the message lists where was looked for what.
    """
    for folder in folders:
        for name in names:
            path = root / folder / name
            if path.is_dir() if name.endswith("/") else path.is_file():
                return path
    places = ", ".join(str(root / folder) for folder in folders)
    raise InvalidValue(f"{data}: there is no {' or '.join(names)} in any of {places}.")

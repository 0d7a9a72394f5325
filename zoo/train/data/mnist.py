"""MNIST and Fashion-MNIST: 28x28 grey images, from the four idx files as they are published, packed or not.

Splits: train is the first 55,000 of the training file, validation its last 5,000, test the t10k files.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import InvalidValue
from zoo.train.data.dataset import Data, find_file, make_data
from zoo.train.data.splits import ImageSplit

FOLDERS = {
    "mnist": (".", "mnist", "MNIST/raw"),
    "fashion-mnist": (".", "fashion-mnist", "FashionMNIST/raw"),
}
LABELS = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        *("t-shirt", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
}
VALIDATION = 5_000  # images, from the end of the training file
_UINT8 = 0x08  # idx's number for unsigned bytes


def load(name: str, root: Path, asked: Mapping[str, Any]) -> Data:
    """Read `mnist` or `fashion-mnist` from `root`, or a folder in it that is named as usual.

    Raises:
        InvalidValue: A file is missing, broken, or does not fit the others.
    """
    train, test = (_read_pair(name, root, part) for part in ("train", "t10k"))
    # As 55 to 5, where a file is smaller.
    split = max(len(train) - VALIDATION, len(train) * 11 // 12)
    return make_data(
        name,
        LABELS[name],
        train=ImageSplit(train.images[:split], train.labels[:split]),
        validation=ImageSplit(train.images[split:], train.labels[split:]),
        test=test,
        asked=asked,
    )


def read_idx(path: Path, ndim: int) -> Tensor:
    """Read a file of unsigned bytes in idx form, packed by gzip or not.

    Raises:
        InvalidValue: It is not of that form, is cut off, or has another number of dimensions.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidValue(f"{path} cannot be read: {error}.") from None
    if len(content) < 4 + 4 * ndim or content[:4] != bytes((0, 0, _UINT8, ndim)):
        raise InvalidValue(f"{path} is no idx file of unsigned bytes in {ndim} dimensions.")
    shape = np.frombuffer(content, ">u4", ndim, 4).astype(np.int64)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * ndim)
    if values.size != shape.prod():
        raise InvalidValue(
            f"{path} is cut off: {values.size} values, its header says {shape.prod()}."
        )
    return torch.from_numpy(values.reshape(shape).copy())


def _read_pair(data: str, root: Path, part: str) -> ImageSplit:
    paths = []
    for what in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        name = f"{part}-{what}"
        paths.append(find_file(data, root, FOLDERS[data], (f"{name}.gz", name)))
    images, labels = read_idx(paths[0], 3), read_idx(paths[1], 1).long()
    if len(images) != len(labels):
        raise InvalidValue(f"{paths[0]} has {len(images)} images, {paths[1]} {len(labels)} labels.")
    return ImageSplit(images[:, None], labels)

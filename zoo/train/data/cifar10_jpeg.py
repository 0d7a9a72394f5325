"""CIFAR-10 as JPEG files in two tar.gz, `train/<class>/NNNN.jpg` and `test/<class>/NNNN.jpg`.

JPEG loses detail, so that figures from here are named `cifar10-jpeg`, never `cifar10`. Splits: validation
is 4500.jpg to 4999.jpg of each class of train, train the rest, test the second file.
"""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from zoo.errors import InvalidValue
from zoo.train.data.images import ImageData, ImageSplit, find_file, make_data

FOLDERS = (".", "cifar10")
LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32  # pixels
VALIDATION_FROM = 4_500  # number of the first image of each class that is for validation
_MEMBER = re.compile(r"(?:\./)?(?:train|test)/([a-z]+)/(\d+)\.jpg\Z")


def load(root: Path) -> ImageData:
    """Read the two files from `root` or `root/cifar10`.

    Raises:
        InvalidValue: A file is missing, broken, or holds something else.
    """
    train, numbers = _read(find_file("cifar10-jpeg", root, FOLDERS, ("cifar10-train.tar.gz",)))
    test, _ = _read(find_file("cifar10-jpeg", root, FOLDERS, ("cifar10-test.tar.gz",)))
    held_out = numbers >= VALIDATION_FROM
    return make_data(
        "cifar10-jpeg",
        LABELS,
        train=ImageSplit(train.images[~held_out], train.labels[~held_out]),
        validation=ImageSplit(train.images[held_out], train.labels[held_out]),
        test=test,
    )


def _read(path: Path) -> tuple[ImageSplit, torch.Tensor]:
    """Return the images of a tar.gz, ordered by class and number, and each one's number in its class."""
    found: list[tuple[int, int, np.ndarray]] = []
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                match = _MEMBER.match(member.name)
                file = archive.extractfile(member) if match and member.isfile() else None
                if match and file:
                    label = _class(match[1], path)
                    found.append(
                        (label, int(match[2]), _decode(file.read(), f"{path}: {member.name}"))
                    )
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise InvalidValue(f"{path} cannot be read as a tar.gz: {error}.") from None
    if not found:
        raise InvalidValue(f"{path} holds no image named like train/cat/0001.jpg.")
    found.sort(key=lambda entry: entry[:2])
    images = torch.from_numpy(np.stack([pixels for _, _, pixels in found]))  # (N, H, W, C)
    labels, numbers = (torch.tensor([entry[place] for entry in found]) for place in (0, 1))
    return ImageSplit(images.permute(0, 3, 1, 2).contiguous(), labels), numbers


def _class(name: str, path: Path) -> int:
    if name not in LABELS:
        raise InvalidValue(f"{path} has a class {name!r}, which is none of {', '.join(LABELS)}.")
    return LABELS.index(name)


def _decode(content: bytes, where: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, ValueError) as error:
        raise InvalidValue(f"{where} is no JPEG image that can be read: {error}.") from None
    if pixels.shape != (SIDE, SIDE, 3):
        raise InvalidValue(
            f"{where} has {pixels.shape[1]}x{pixels.shape[0]} pixels, expected {SIDE}x{SIDE}."
        )
    return pixels

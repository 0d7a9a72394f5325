"""CIFAR-10 and CIFAR-100 as published: 32x32 colour images in batches, for C programs or for Python.

Splits: train is all but the last 5,000 of the training images, validation those, test the test batch. The
files for Python are pickles, which can run code when they are loaded; these are never loaded. Their
instructions are read as a list, and the pixels, labels and names are picked out of it.
"""

from __future__ import annotations

import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from zoo.errors import InvalidValue
from zoo.train.data.cifar10_jpeg import LABELS
from zoo.train.data.dataset import Data, make_data
from zoo.train.data.splits import ImageSplit

VALIDATION = 5_000  # images, from the end of the training ones
_PIXELS = 3 * 32 * 32


class Layout(NamedTuple):
    """Where the files of a data set are, and what stands before the pixels in those for C programs."""

    python: str
    binary: str
    train: tuple[str, ...]
    test: str
    key: str
    label_bytes: int


LAYOUTS = {
    "cifar10": Layout(
        "cifar-10-batches-py",
        "cifar-10-batches-bin",
        tuple(f"data_batch_{number}" for number in range(1, 6)),
        "test_batch",
        "labels",
        1,
    ),
    # Two labels an image: the coarse one, then the fine one.
    "cifar100": Layout(
        "cifar-100-python", "cifar-100-binary", ("train",), "test", "fine_labels", 2
    ),
}


def load(name: str, root: Path, asked: Mapping[str, Any]) -> Data:
    """Read `cifar10` or `cifar100` from `root`, or a folder in it that is named as usual.

    Raises:
        InvalidValue: A file is missing or broken.
    """
    layout = LAYOUTS[name]
    folder = _folder(name, root, layout)
    parts = [_read(folder / part, layout) for part in layout.train]
    images = torch.cat([part.images for part in parts])
    labels = torch.cat([part.labels for part in parts])
    split = max(len(labels) - VALIDATION, len(labels) * 9 // 10)  # where a file is smaller
    return make_data(
        name,
        LABELS if name == "cifar10" else _fine_names(folder),
        train=ImageSplit(images[:split], labels[:split]),
        validation=ImageSplit(images[split:], labels[split:]),
        test=_read(folder / layout.test, layout),
        asked=asked,
    )


def read_batch(path: Path, key: str) -> ImageSplit:
    """Read a batch for Python without running it.

    Args:
        path: The file.
        key: Under which its labels stand.

    Raises:
        InvalidValue: It is no such batch.
    """
    strings, numbers = _constants(path)
    pixels = max((text for _, text in strings), key=len, default="").encode("latin-1", "replace")
    labels = [number for under, number in numbers if under == key]
    if not labels or len(pixels) != len(labels) * _PIXELS:
        raise InvalidValue(
            f"{path} is no batch of CIFAR: {len(pixels)} bytes of pixels for {len(labels)} {key}."
        )
    return _split(np.frombuffer(pixels, np.uint8), np.array(labels))


def _folder(name: str, root: Path, layout: Layout) -> Path:
    folders = [
        root / place / inner
        for place in (".", name)
        for inner in (".", layout.python, layout.binary)
    ]
    for folder in folders:
        if any((folder / f"{layout.test}{ending}").is_file() for ending in ("", ".bin")):
            return folder
    places = ", ".join(str(folder) for folder in dict.fromkeys(folders))
    raise InvalidValue(
        f"{name}: there is no {layout.test} or {layout.test}.bin in any of {places}."
    )


def _read(path: Path, layout: Layout) -> ImageSplit:
    binary = path.with_name(f"{path.name}.bin")
    if not binary.is_file():
        return read_batch(path, layout.key)
    content = np.fromfile(binary, np.uint8)
    length = layout.label_bytes + _PIXELS
    if not content.size or content.size % length:
        raise InvalidValue(
            f"{binary} is no batch of CIFAR: {content.size} bytes, not a multiple of {length}."
        )
    rows = content.reshape(-1, length)
    return _split(rows[:, layout.label_bytes :], rows[:, layout.label_bytes - 1])


def _split(pixels: np.ndarray, labels: np.ndarray) -> ImageSplit:
    images = torch.from_numpy(pixels.reshape(-1, 3, 32, 32).copy())
    return ImageSplit(images, torch.from_numpy(labels.astype(np.int64)))


def _fine_names(folder: Path) -> tuple[str, ...]:
    listed = folder / "fine_label_names.txt"  # beside the files for C programs
    if listed.is_file():
        names = listed.read_text(encoding="utf-8").split()
    else:
        names = [
            text for under, text in _constants(folder / "meta")[0] if under == "fine_label_names"
        ]
    if len(names) != 100:
        raise InvalidValue(f"cifar100: {folder} names {len(names)} classes, expected 100.")
    return tuple(names)


def _constants(path: Path) -> tuple[list[tuple[str, str]], list[tuple[str, int]]]:
    """The texts and whole numbers in a pickle, each with the name of the list that it stands in."""
    strings: list[tuple[str, str]] = []
    numbers: list[tuple[str, int]] = []
    under = ""
    try:
        for opcode, value, _ in pickletools.genops(path.read_bytes()):
            if opcode.name in ("SHORT_BINSTRING", "BINSTRING", "BINUNICODE", "SHORT_BINUNICODE"):
                strings.append((under, str(value)))
            elif opcode.name == "EMPTY_LIST" and strings:
                under = strings.pop()[1]  # the name of the list that begins here
            elif isinstance(value, int) and opcode.name in ("BININT", "BININT1", "BININT2"):
                numbers.append((under, value))
            elif opcode.name in ("GLOBAL", "SETITEMS"):
                under = ""
    except (OSError, ValueError) as error:
        raise InvalidValue(f"{path} cannot be read: {error}.") from None
    return strings, numbers

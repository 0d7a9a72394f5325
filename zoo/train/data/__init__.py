"""Data for training: whole data sets in memory, each with fixed splits.

A new kind of data is a file here with a function `load(root) -> ImageData`, and a line in `LOADERS`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from zoo.errors import InvalidValue, UnknownName, near_misses
from zoo.train.data.images import ImageData

LOADERS = {
    "mnist": "zoo.train.data.mnist",
    "cifar10-jpeg": "zoo.train.data.cifar10_jpeg",
}


def open_data(name: str, root: str | Path) -> ImageData:
    """Read a data set into memory.

    Args:
        name: One of `LOADERS`.
        root: The folder that its files are in.

    Raises:
        UnknownName: No data set has that name.
        InvalidValue: The folder or a file is missing or not what it should be.
    """
    if name not in LOADERS:
        raise UnknownName(f"No data set is called {name!r}. {near_misses(name, LOADERS)}")
    folder = Path(root)
    if not folder.is_dir():
        raise InvalidValue(
            f"{name}: {str(folder)!r} is no folder; give the one that its files are in."
        )
    data: ImageData = importlib.import_module(LOADERS[name]).load(folder)
    return data

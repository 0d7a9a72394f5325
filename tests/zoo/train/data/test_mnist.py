"""MNIST from its idx files."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from zoo.errors import InvalidValue
from zoo.train.data import open_data
from zoo.train.data.dataset import Data
from zoo.train.data.mnist import read_idx
from zoo.train.data.request import DataRequest


def _open(root: Path, name: str = "mnist") -> Data:
    return open_data(DataRequest(what=name, root=str(root)))


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def _write(folder: Path, *, packed: bool) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 24), ("t10k", 5)):
        arrays[f"{part}-images-idx3-ubyte"] = random.integers(0, 256, (count, 28, 28), np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = random.integers(0, 10, count, np.uint8)
    for name, array in arrays.items():
        content = _idx(array)
        (folder / f"{name}{'.gz' if packed else ''}").write_bytes(
            gzip.compress(content) if packed else content
        )
    return arrays


@pytest.mark.parametrize("place", [".", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_files_are_found_and_split(tmp_path: Path, place: str, packed: bool) -> None:
    """In each place and form: train is the beginning, validation the end, test the other files."""
    arrays = _write(tmp_path / place, packed=packed)
    data = _open(tmp_path)
    images = torch.from_numpy(arrays["train-images-idx3-ubyte"])[:, None]
    labels = torch.from_numpy(arrays["train-labels-idx1-ubyte"]).long()
    assert torch.equal(data.train.images, images[:22])
    assert torch.equal(data.validation.images, images[22:])
    assert torch.equal(torch.cat([data.train.labels, data.validation.labels]), labels)
    assert torch.equal(
        data.test.images, torch.from_numpy(arrays["t10k-images-idx3-ubyte"])[:, None]
    )
    assert data.labels == tuple("0123456789")


def test_fashion_mnist_has_classes_of_its_own(tmp_path: Path) -> None:
    """It is read like MNIST."""
    _write(tmp_path / "FashionMNIST" / "raw", packed=False)
    data = _open(tmp_path, "fashion-mnist")
    assert (data.name, data.labels[9]) == ("fashion-mnist", "ankle boot")


def test_copies_in_two_splits_are_told_or_dropped(tmp_path: Path) -> None:
    """By the number of the image in its split."""
    arrays = _write(tmp_path, packed=False)
    images = arrays["train-images-idx3-ubyte"]
    images[3] = arrays["t10k-images-idx3-ubyte"][0]
    (tmp_path / "train-images-idx3-ubyte").write_bytes(_idx(images))
    assert _open(tmp_path).notes[0] == "1 sample of train is in validation or test, too: train/3"
    request = DataRequest(what="mnist", root=str(tmp_path), leaks="drop")
    kept = torch.from_numpy(np.delete(images, 3, 0))[:21, None]
    assert torch.equal(open_data(request).train.images, kept)


def test_a_missing_file_is_named_with_all_places(tmp_path: Path) -> None:
    """The message says which file was looked for, and where."""
    _write(tmp_path / "mnist", packed=True)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        InvalidValue, match=r"no t10k-labels-idx1-ubyte.gz or .* in any of .*mnist, .*MNIST/raw"
    ):
        _open(tmp_path)


def test_broken_files_are_named(tmp_path: Path) -> None:
    """Cut off, of another form, or not gzip after all."""
    path = tmp_path / "x"
    content = _idx(np.zeros((3, 4), np.uint8))
    path.write_bytes(content[:-1])
    with pytest.raises(InvalidValue, match="x is cut off: 11 values, its header says 12"):
        read_idx(path, 2)
    with pytest.raises(InvalidValue, match="no idx file of unsigned bytes in 3 dimensions"):
        read_idx(path, 3)
    path.write_bytes(gzip.compress(content)[:-9])
    with pytest.raises(InvalidValue, match="x cannot be read"):
        read_idx(path, 2)


def test_files_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    """As many labels as images."""
    _write(tmp_path, packed=False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(_idx(np.zeros(4, np.uint8)))
    with pytest.raises(InvalidValue, match=r"5 images, .* 4 labels"):
        _open(tmp_path)

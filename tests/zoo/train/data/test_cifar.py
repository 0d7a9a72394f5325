"""CIFAR as published, for C programs and for Python."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from zoo.errors import InvalidValue
from zoo.train.data import open_data
from zoo.train.data.cifar import read_batch
from zoo.train.data.dataset import Data
from zoo.train.data.request import DataRequest
from zoo.train.data.splits import ImageSplit


def _open(name: str, root: Path) -> Data:
    return open_data(DataRequest(what=name, root=str(root)))


def _arrays(count: int, seed: int, classes: int) -> tuple[np.ndarray, list[int]]:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 3 * 32 * 32)).astype(np.uint8)
    return pixels, [int(n) for n in random.permutation(count) % classes]


def _images(split: object) -> torch.Tensor:
    assert isinstance(split, ImageSplit)
    return split.images


def _python10(folder: Path) -> None:
    folder.mkdir(parents=True)
    for at, part in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        pixels, labels = _arrays(20, at, 10)
        batch = {"batch_label": part, "labels": labels, "data": pixels, "filenames": ["a", "b"]}
        (folder / part).write_bytes(pickle.dumps(batch, 2))


def _binary10(folder: Path) -> None:
    folder.mkdir(parents=True)
    for at, part in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        pixels, labels = _arrays(20, at, 10)
        rows = np.concatenate([np.array(labels, np.uint8)[:, None], pixels], 1)
        (folder / f"{part}.bin").write_bytes(rows.tobytes())


@pytest.mark.parametrize("place", ["cifar-10-batches-py", "cifar10/cifar-10-batches-bin", "."])
def test_cifar10_is_read_from_both_forms(tmp_path: Path, place: str) -> None:
    """Batches in order, the last tenth for validation, colours as planes."""
    write = _binary10 if place.endswith("bin") else _python10
    write(tmp_path / "root" / place)
    data = _open("cifar10", tmp_path / "root")
    arrays = [_arrays(20, at, 10) for at in range(6)]
    pixels = torch.from_numpy(np.concatenate([one for one, _ in arrays])).view(-1, 3, 32, 32)
    parts = [data.train, data.validation, data.test]
    assert torch.equal(torch.cat([_images(part) for part in parts]), pixels)
    labels = torch.cat([part.labels for part in parts])
    assert labels.tolist() == [label for _, own in arrays for label in own]
    assert [len(part) for part in parts] == [90, 10, 20]
    assert data.labels[9] == "truck"


def test_cifar100_has_its_fine_classes(tmp_path: Path) -> None:
    """From both forms, with the names that stand beside the images."""
    names = [f"class{number}" for number in range(100)]
    python, binary = tmp_path / "a" / "cifar-100-python", tmp_path / "b" / "cifar-100-binary"
    python.mkdir(parents=True)
    binary.mkdir(parents=True)
    for at, (part, count) in enumerate((("train", 200), ("test", 100))):
        pixels, fine = _arrays(count, at, 100)
        coarse = [label % 20 for label in fine]
        batch = {"data": pixels, "coarse_labels": coarse, "fine_labels": fine, "filenames": []}
        (python / part).write_bytes(pickle.dumps(batch, 2))
        head = np.array([coarse, fine], np.uint8).T
        (binary / f"{part}.bin").write_bytes(np.concatenate([head, pixels], 1).tobytes())
    meta = {"fine_label_names": names, "coarse_label_names": ["x"]}
    (python / "meta").write_bytes(pickle.dumps(meta, 2))
    (binary / "fine_label_names.txt").write_text("\n".join(names))
    first, second = _open("cifar100", tmp_path / "a"), _open("cifar100", tmp_path / "b")
    assert first.labels == second.labels == tuple(names)
    assert torch.equal(_images(first.train), _images(second.train))
    assert torch.equal(first.test.labels, second.test.labels)
    assert first.test.labels.tolist() == _arrays(100, 1, 100)[1]


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    """One that would write a file on loading does not."""

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (open, (str(tmp_path / "written"), "w"))

    (tmp_path / "batch").write_bytes(pickle.dumps({"labels": [1], "data": Evil()}, 2))
    with pytest.raises(InvalidValue, match="batch is no batch of CIFAR"):
        read_batch(tmp_path / "batch", "labels")
    assert not (tmp_path / "written").exists()


def test_broken_files_are_named(tmp_path: Path) -> None:
    """Missing, cut off, or of something else."""
    with pytest.raises(InvalidValue, match=r"no test_batch or test_batch.bin in any of"):
        _open("cifar10", tmp_path)
    _python10(tmp_path / "p")
    cut = tmp_path / "p" / "data_batch_2"
    cut.write_bytes(cut.read_bytes()[:-1000])
    with pytest.raises(InvalidValue, match="data_batch_2 cannot be read"):
        _open("cifar10", tmp_path / "p")
    _binary10(tmp_path / "b")
    (tmp_path / "b" / "data_batch_3.bin").write_bytes(b"12345")
    with pytest.raises(InvalidValue, match=r"data_batch_3.bin is no batch of CIFAR: 5 bytes"):
        _open("cifar10", tmp_path / "b")

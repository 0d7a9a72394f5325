"""Checkpoints on a disk that is full."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import zoo
from zoo.errors import InvalidValue, ZooError
from zoo.train.data.dataset import Data
from zoo.train.fitting import fit
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder

RECIPE = Recipe(epochs=3, batch_size=20)


@pytest.fixture
def fill_disk() -> Iterator[Callable[[int], None]]:
    """A function that lets no file grow beyond a number of bytes, until the end of the test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda room: resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_checkpoint_before(
    data: Data,
    new_model: Callable[[], zoo.Model],
    folder: Path,
    fill_disk: Callable[[int], None],
) -> None:
    """The message says what could not be written, and how to go on, which works once there is room."""
    checkpoint, saved = folder / "last.ckpt", bytearray()

    def after_the_first(_line: str) -> None:
        if checkpoint.exists() and not saved:
            saved.extend(checkpoint.read_bytes())
            room = (folder / "best.safetensors").stat().st_size + 1000
            assert room < len(saved)
            fill_disk(room)

    expected = (
        rf"last.ckpt cannot be written: File too large.*go on with: zoo train --resume {folder}"
    )
    with pytest.raises(ZooError, match=expected):
        fit(new_model(), data, RECIPE, RunFolder(folder), report=after_the_first)
    assert checkpoint.read_bytes() == saved
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]

    fill_disk(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    fitted = fit(new_model(), data, RECIPE, RunFolder(folder), resume=True)
    assert [figures["epoch"] for figures in fitted.history] == [1, 2, 3]
    assert msgspec.json.decode((folder / "result.json").read_bytes())["history"] == fitted.history


def test_a_full_disk_at_a_stop_inside_an_epoch_loses_that_epoch_alone(
    data: Data,
    new_model: Callable[[], zoo.Model],
    folder: Path,
    fill_disk: Callable[[int], None],
) -> None:
    """The checkpoint of the epoch before is there still, and the run goes on from it."""
    model, saved = new_model(), bytearray()

    def stop_in_the_second(*_: Any) -> None:
        if (folder / "metrics.csv").exists() and not saved:
            saved.extend((folder / "last.ckpt").read_bytes())
            fill_disk(1000)
            os.kill(os.getpid(), signal.SIGTERM)

    model.register_forward_hook(stop_in_the_second)
    expected = (
        rf"last.ckpt cannot be written: File too large.*go on with: zoo train --resume {folder}"
    )
    with pytest.raises(ZooError, match=expected):
        fit(model, data, RECIPE, RunFolder(folder))
    assert (folder / "last.ckpt").read_bytes() == saved

    fill_disk(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    fitted = fit(new_model(), data, RECIPE, RunFolder(folder), resume=True)
    assert [figures["epoch"] for figures in fitted.history] == [1, 2, 3]


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_damaged_checkpoint_is_named(
    data: Data, new_model: Callable[[], zoo.Model], folder: Path, kept: int
) -> None:
    """In one line, with what can be done; the models stay as they are."""
    fit(new_model(), data, msgspec.structs.replace(RECIPE, epochs=1), RunFolder(folder))
    best = (folder / "best.safetensors").read_bytes()
    os.truncate(folder / "last.ckpt", kept)
    with pytest.raises(InvalidValue, match=r"last\.ckpt cannot be read.*[^: ]\)\. Take the file"):
        fit(
            new_model(),
            data,
            msgspec.structs.replace(RECIPE, epochs=1),
            RunFolder(folder),
            resume=True,
        )
    assert (folder / "best.safetensors").read_bytes() == best


def test_a_run_whose_folder_is_deleted_says_so(
    data: Data, new_model: Callable[[], zoo.Model], folder: Path
) -> None:
    """Nothing of it is to be resumed, and no room is missing."""
    with pytest.raises(ZooError, match=f"{folder} is gone, deleted or moved"):
        fit(
            new_model(), data, RECIPE, RunFolder(folder), report=lambda _line: shutil.rmtree(folder)
        )

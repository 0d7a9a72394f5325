"""Small synthetic data: classes that differ in brightness, so that a tiny model learns them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch

import zoo
from zoo.train.data.dataset import Data, make_data
from zoo.train.data.splits import ImageSplit

LABELS = ("dark", "grey", "light")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Hold every test to one thread: small tensors, and figures that repeat."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_split(count: int, seed: int) -> ImageSplit:
    """Noise whose mean brightness tells its class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(LABELS)
    noise = torch.randint(0, 60, (count, 1, 8, 8), generator=generator)
    return ImageSplit((noise + 60 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)


@pytest.fixture
def data() -> Data:
    """200 images to train on, and 30 for each of the other splits."""
    return make_data(
        "shades",
        LABELS,
        train=make_split(200, 1),
        validation=make_split(30, 2),
        test=make_split(30, 3),
    )


@pytest.fixture
def new_model(data: Data) -> Callable[[], zoo.Model]:
    """Make a tiny model for the data; the same one every time."""

    def make() -> zoo.Model:
        torch.manual_seed(0)
        return zoo.compose(
            {"name": "plain_cnn", "widths": [4, 8], "depths": [1, 1]},
            head={"name": "avg", "dropout": 0.1},
            input=msgspec.to_builtins(data.source),
            labels=LABELS,
        )

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a run goes."""
    return tmp_path / "run"

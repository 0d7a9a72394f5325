"""Small synthetic data: classes that differ in brightness, so that a tiny model learns them at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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


MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write the folder of a run that has ended, with a figure of one's own."""

    def make(
        name: str,
        accuracy: float,
        *,
        attention: Sequence[dict[str, Any]] = (),
        seed: int = 0,
        data: str = "squares",
        epochs: int = 2,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        spec = {
            "input": {"kind": "image", "channels": 3},
            "backbone": {"name": "resnet_cifar"},
            "attention": list(attention),
            "head": {"name": "avg"},
            "output": {"kind": "classes", "num_classes": 2},
        }
        asked = {"spec": spec, "recipe": {"epochs": epochs, "seed": seed}, "data": data}
        (folder / "run.json").write_text(json.dumps(asked))
        best = {"epoch": 1, "validation/top1": accuracy + 0.01, "seconds": 1.0}
        last = {"epoch": 2, "validation/top1": accuracy, "seconds": 1.0}
        result = {**asked, "best": best, "history": [best, last], "seconds": 2.0}
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "last.safetensors").write_bytes(name.encode())
        (folder / "best.safetensors").write_bytes(name.encode() + b"!")
        return folder

    return make

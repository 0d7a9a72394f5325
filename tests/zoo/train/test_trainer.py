"""What Lightning's trainer is told of devices and processes."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import Trainer

from zoo.errors import InvalidValue
from zoo.train.processes import ALONE, Processes
from zoo.train.trainer import trainer_devices

FOUR = Processes(rank=5, size=8, local_size=4)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of them."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.parametrize(
    ("device", "accelerator", "devices"),
    [
        (None, "auto", 1),
        ("cpu", "cpu", 1),
        ("cpu:0", "cpu", 1),
        ("cuda", "cuda", 1),
        ("cuda:1", "cuda", [1]),
        ("mps", "mps", 1),
    ],
)
def test_a_process_of_its_own_computes_on_one_device(
    device: str | None, accelerator: str, devices: int | list[int]
) -> None:
    """The one that was asked for, or the first of its kind."""
    asked = None if device is None else torch.device(device)
    assert trainer_devices(asked, ALONE) == {"accelerator": accelerator, "devices": devices}


def test_lightning_understands_it() -> None:
    """As far as a machine without a GPU can tell."""
    trainer = Trainer(**trainer_devices(torch.device("cpu"), ALONE), logger=False, barebones=True)
    assert trainer.strategy.root_device == torch.device("cpu")
    assert trainer.num_devices == 1


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize("device", [None, "cpu", "cuda"])
def test_several_processes_have_one_each(device: str | None) -> None:
    """Two machines of four."""
    asked = None if device is None else torch.device(device)
    options = trainer_devices(asked, FOUR)
    assert options["accelerator"] == (device or "auto")
    assert (options["devices"], options["num_nodes"], options["strategy"]) == (4, 2, "ddp")


@pytest.mark.usefixtures("gpus")
def test_several_processes_do_not_share_a_device() -> None:
    """As a number would ask for."""
    with pytest.raises(InvalidValue, match=r"cuda:1 is one\. Leave its number out"):
        trainer_devices(torch.device("cuda:1"), FOUR)


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize("device", [None, "cuda"])
def test_more_processes_than_devices_are_refused(device: str | None) -> None:
    """With the two ways out."""
    asked = None if device is None else torch.device(device)
    six = Processes(rank=0, size=6, local_size=6)
    with pytest.raises(
        InvalidValue, match=r"6 processes .* sees 4 GPUs\. Start as many .* --device cpu"
    ):
        trainer_devices(asked, six)
    assert trainer_devices(torch.device("cpu"), six)["devices"] == 6


def test_without_a_gpu_several_processes_share_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless a GPU was asked for."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert trainer_devices(None, FOUR)["devices"] == 4
    with pytest.raises(InvalidValue, match="sees 0 GPUs"):
        trainer_devices(torch.device("cuda"), FOUR)


def test_a_device_that_lightning_does_not_train_on_is_refused() -> None:
    """With those that it does."""
    with pytest.raises(InvalidValue, match="trains on cpu, cuda, mps, and not on xpu"):
        trainer_devices(torch.device("xpu"), ALONE)

"""What the machine is, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from zoo import InvalidValue
from zoo.cli import machine
from zoo.cli.machine import cores, machine_data, machine_line, open_device, processor


@pytest.mark.parametrize("name", ["meta", "gpux", "cuda:99", ""])
def test_a_device_that_cannot_be_used_is_refused(name):
    """With torch's reason in one line, and what there is."""
    with pytest.raises(
        InvalidValue, match=rf"^--device {name}: torch cannot use it .*There is cpu"
    ) as raised:
        open_device(name)
    assert "\n" not in str(raised.value)
    assert open_device("cpu") == torch.device("cpu")


def test_accelerators_that_are_there_are_named(monkeypatch):
    """By the names that --device takes."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    with pytest.raises(InvalidValue, match=r"There is cpu, cuda:0, cuda:1\.$"):
        open_device("gpux")


def test_the_line_says_all_that_a_time_depends_on():
    """Of a GPU its name first; one thread is one."""
    data = {
        "device": "cpu",
        "processor": "Chip 9",
        "accelerator": None,
        "cores": 8,
        "threads": 1,
        "load": 0.42,
        "system": "Linux",
        "torch": "2.6",
    }
    assert machine_line(data) == "Chip 9, 1 thread on 8 cores (load 0.4 before); Linux; torch 2.6"
    on_gpu = {**data, "device": "cuda:0", "accelerator": "GPU 7", "threads": 4, "load": None}
    assert machine_line(on_gpu) == "GPU 7; Chip 9, 4 threads on 8 cores; Linux; torch 2.6"


def test_this_machine_can_be_described():
    """Every field is there; threads are torch's."""
    data = machine_data(torch.device("cpu"))
    assert data["processor"]
    assert data["cores"] == cores() >= 1
    assert data["threads"] == torch.get_num_threads()
    assert data["accelerator"] is None


def test_a_processor_that_linux_names_goes_by_that_name(monkeypatch, tmp_path: Path):
    """Elsewhere, and where there is no name, it is what the platform says."""
    listed = tmp_path / "cpuinfo"
    monkeypatch.setattr(machine, "Path", lambda _path: listed)
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.setattr(machine.platform, "machine", lambda: "arm64")
    assert processor() == "arm64"
    listed.write_text("processor\t: 0\nmodel name\t:\n")
    assert processor() == "arm64"
    listed.write_text("processor\t: 0\nmodel name\t: Chip 9 \n\nprocessor\t: 1\n")
    assert processor() == "Chip 9"

"""Examining a file in a fresh process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from zoo.registry.examination import examine, examine_afresh


def test_a_fresh_process_finds_the_same(file: Path) -> None:
    """As this one."""
    found = examine_afresh(file)
    assert found == examine(file)
    assert found["params"] == sum(tensor.numel() for tensor in zoo.load(file).parameters())


def test_the_folder_one_is_in_brings_no_modules(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file there that is called like a library is not run."""
    (tmp_path / "safetensors.py").write_text("import pathlib; pathlib.Path('run').touch()")
    monkeypatch.chdir(tmp_path)
    assert examine_afresh(file)["params"]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_holds_nan_is_refused(model: zoo.Model, tmp_path: Path, value: float) -> None:
    """The tensor is named."""
    with torch.no_grad():
        model.classifier.bias[0] = value
    file = zoo.save(model, tmp_path / "nan.safetensors")
    with pytest.raises(zoo.WeightsError, match=r"'classifier\.bias' holds NaN or infinity"):
        examine(file)


def test_what_only_this_process_can_load_is_refused(own_catalog: None, tmp_path: Path) -> None:
    """A fresh process is asked: what was registered here alone is no version for others."""

    @zoo.attention("only_here", family="channel")
    class OnlyHere(nn.Module):
        """Leave the map as it is."""

        def __init__(self, channels: int, *, ndim: int = 2) -> None:
            super().__init__()

        def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            return x

    model = zoo.compose("attn_cnn(widths=[4]) + only_here@last", num_classes=2)
    file = zoo.save(model, tmp_path / "only_here.safetensors")
    with pytest.raises(
        zoo.WeightsError, match=r"a fresh process cannot load the file: .*attention/only_here"
    ):
        zoo.publish(file, registry=tmp_path / "zoo", name="our_cnn", version="1.0.0")
    assert not (tmp_path / "zoo").exists()

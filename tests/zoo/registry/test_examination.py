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

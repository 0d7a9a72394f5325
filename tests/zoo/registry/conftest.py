"""Models and files to publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.registry import examination, publishing


@pytest.fixture
def model(small_spec: dict[str, Any]) -> zoo.Model:
    """A model to publish."""
    torch.manual_seed(0)
    return zoo.compose(zoo.Spec.from_data(small_spec)).eval()


@pytest.fixture
def file(model: zoo.Model, tmp_path: Path) -> Path:
    """The model's file, with figures and a recipe."""
    return zoo.save(
        model,
        tmp_path / "model.safetensors",
        metrics={"pets/validation/top1": {"mean": 0.5, "seeds": 1}},
        recipe={"epochs": 3},
        provenance={"data": "pets"},
    )


@pytest.fixture
def examined_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are examined in this process: a fresh one takes seconds, and has tests of its own."""
    monkeypatch.setattr(publishing, "examine_afresh", examination.examine)

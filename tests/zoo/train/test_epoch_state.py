"""The state of an epoch where a run goes on elsewhere than it began."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from zoo.composition.model import Model
from zoo.train.epoch_state import _state, _take_up
from zoo.train.recipe import Recipe
from zoo.train.task import Task


def test_a_run_of_a_gpu_goes_on_where_there_is_none(new_model: Callable[[], Model]) -> None:
    """What the GPU would draw is drawn anew; the sums and all else are taken up."""
    task = Task(new_model(), Recipe(), steps=1)
    task.sums = torch.tensor([3.0, 2.0, 4.0], dtype=torch.float64)
    kept: dict[str, Any] = {
        **_state(task),
        "kind": "cuda",
        "device": torch.zeros(16, dtype=torch.uint8),
    }
    drawn = torch.rand(3)
    other = Task(new_model(), Recipe(), steps=1)
    _take_up(other, kept)
    assert torch.equal(other.sums, task.sums)
    assert torch.equal(torch.rand(3), drawn)

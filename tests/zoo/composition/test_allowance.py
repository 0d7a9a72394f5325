"""A model for a stranger's file is built only if it can be the file's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo
from zoo import WeightsError
from zoo.composition.allowance import Allowance
from zoo.composition.building import build

GIB = 2**30


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(1, GIB),
        lambda: torch.empty((GIB, 1)),
        lambda: torch.zeros(size=(GIB,)),
        lambda: torch.ones(GIB // 2, dtype=torch.float64),
        lambda: torch.full((GIB,), 0.5),
        lambda: torch.arange(GIB // 2 + 1),
        lambda: torch.arange(0.0, GIB, 0.5),
        lambda: torch.eye(2**15 + 1),
        lambda: torch.zeros(1).new_zeros(GIB),
        lambda: torch.nn.Linear(2**15, 2**15 + 1),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_made(make: Any) -> None:
    """Whatever makes it; without the limit it would take 4 GB."""
    with (
        Allowance("f", 100, 1),
        pytest.raises(WeightsError, match=r"f holds another model .*: 100 bytes of tensors, and"),
    ):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x[:, None] - x,
        lambda x: x[:, None] == x,
        lambda x: torch.outer(x, x),
        lambda x: torch.where(x[:, None] > x, x, 0),
        lambda x: torch.stack(torch.meshgrid(x, x, indexing="ij")),
        lambda x: x.repeat(2**20),
        lambda x: torch.nn.functional.pad(x, (0, GIB)),
        lambda x: x.expand(2**20, -1).clone(),
    ],
)
def test_what_tensors_would_grow_to_is_refused_before(make: Any) -> None:
    """A few of them give many values together; without the limit it would take 1 to 8 GB."""
    with Allowance("f", 100, 1), pytest.raises(WeightsError, match="f holds another model"):
        make(torch.zeros(2**15))


def test_views_that_look_large_are_made() -> None:
    """They take no memory."""
    with Allowance("f", 100, 1):
        x = torch.zeros(2**15).expand(2**30, -1)
        assert x.T.unflatten(1, (2**15, -1)).shape == (2**15, 2**15, 2**15)
        assert x[:2, :3].clone().shape == (2, 3)


def test_many_small_tensors_are_refused_too() -> None:
    """Each takes little, and their modules much."""
    with Allowance("f", 0, 10), pytest.raises(WeightsError, match="It is not built"):
        torch.nn.ModuleList(torch.nn.BatchNorm1d(1) for _ in range(1000))


def test_what_the_size_of_the_file_speaks_for_is_made() -> None:
    """And beyond it what does not stay; tensors without memory are free."""
    with Allowance("f", GIB, 1):
        for _ in range(3):
            torch.empty(GIB // 4)
        torch.empty(2**40, device="meta")
        with torch.device("meta"):
            torch.empty(2**40)


def test_nothing_is_drawn_at_random(small_spec: dict[str, Any]) -> None:
    """All values come from the file."""
    plan = zoo.compose(zoo.Spec.from_data(small_spec)).plan
    before = torch.random.get_rng_state()
    with Allowance("f", 10**6, 100):
        build(plan)
    assert torch.equal(torch.random.get_rng_state(), before)

"""Building without random numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from zoo.composition.initialization import NoRandomInit


def test_random_fills_draw_nothing() -> None:
    """The generator is where it was, and tensors hold what they held."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    held = torch.full((4, 4), 3.0)
    with NoRandomInit():
        nn.Linear(4, 4)
        nn.Conv2d(3, 4, 3)
        for fill in (
            nn.init.normal_,
            nn.init.uniform_,
            nn.init.trunc_normal_,
            nn.init.kaiming_normal_,
            nn.init.kaiming_uniform_,
            nn.init.xavier_uniform_,
        ):
            if fill is not nn.init.trunc_normal_:
                assert fill(held) is held
        assert torch.equal(held, torch.full((4, 4), 3.0))
        nn.init.trunc_normal_(held)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: torch.rand(3),
        lambda: torch.randn(2, 2, dtype=torch.float64),
        lambda: torch.randint(5, (3,)),
        lambda: torch.randperm(4, device="cpu"),
        lambda: torch.normal(0.0, 1.0, (2,)),
    ],
)
def test_new_tensors_are_drawn_elsewhere(draw: Callable[[], torch.Tensor]) -> None:
    """They have values, and the global generator is where it was."""
    before = torch.get_rng_state()
    with NoRandomInit():
        assert draw().isfinite().all()
        with torch.device("meta"):
            torch.randn(3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("slot", ["branch", "conv"])
@pytest.mark.parametrize("name", [row.name for row in zoo.list_components("attention")])
def test_no_attention_draws_where_its_weights_come_from_a_file(
    name: str, slot: str, tmp_path: Path
) -> None:
    """Whatever its constructor calls."""
    model = zoo.compose(
        {"name": "attn_cnn", "widths": [16], "depths": [1]}, {"name": name, "slot": slot}
    )
    before = torch.get_rng_state()
    zoo.load(zoo.save(model, tmp_path / "mine.safetensors"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        (lambda x: nn.init.constant_(x, 5.0), torch.full((2, 2), 5.0)),
        (nn.init.ones_, torch.ones(2, 2)),
        (nn.init.zeros_, torch.zeros(2, 2)),
        (nn.init.eye_, torch.eye(2)),
    ],
)
def test_constant_fills_are_done(fill: object, expected: torch.Tensor) -> None:
    """A buffer that is not in a file needs them."""
    x = torch.full((2, 2), 3.0)
    with NoRandomInit():
        fill(x)  # type: ignore[operator]  # a column of the table
    assert torch.equal(x, expected)


def test_other_threads_draw_as_always() -> None:
    """The switch belongs to one thread."""
    drawn: list[torch.Tensor] = []
    with NoRandomInit():
        thread = threading.Thread(target=lambda: drawn.append(torch.zeros(9).normal_()))
        thread.start()
        thread.join()
    assert drawn[0].any()
    assert torch.zeros(9).normal_().any()

"""Building without random numbers."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

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

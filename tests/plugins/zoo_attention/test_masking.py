"""Statistics over real positions."""

from __future__ import annotations

import pytest
import torch
from zoo_attention import masking


def test_statistics_are_those_of_real_values() -> None:
    """Mean and maximum see real positions only, and each sample has its own."""
    x = torch.tensor([[[1.0, -4.0, 9.0]], [[-2.0, float("nan"), float("inf")]]])  # (2, 1, 3)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert masking.mean(x, mask).tolist() == [[-1.5], [-2.0]]
    assert masking.amax(x, mask).tolist() == [[1.0], [-2.0]]


def test_norms_are_those_of_real_values() -> None:
    """A norm adds up the real values of its own sample and channel, in float32 at least."""
    x = torch.tensor([[[3.0, -4.0, 9.0]], [[-2.0, float("nan"), float("inf")]]])  # (2, 1, 3)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert masking.norm(x, mask, 2).tolist() == [[5.0], [2.0]]
    assert masking.norm(x, mask, 1).tolist() == [[7.0], [2.0]]
    assert masking.norm(torch.full((1, 1, 2), 6e4).half(), None, 1).item() == pytest.approx(
        12e4, 1e-3
    )


def test_a_sample_without_real_positions_gives_zeros() -> None:
    """There is no 0/0 and no infinity where nothing is real."""
    x = torch.full((1, 2, 3), 5.0)
    mask = torch.zeros(1, 3, dtype=torch.bool)
    assert masking.mean(x, mask).tolist() == [[0.0, 0.0]]
    assert masking.amax(x, mask).tolist() == [[0.0, 0.0]]


def test_half_precision_sums_do_not_overflow() -> None:
    """The mean of values that can be written in float16 is found though their sum cannot."""
    x = torch.full((1, 600, 40, 40), 500.0, dtype=torch.float16)
    assert masking.mean(x, None)[0, 0] == 500
    assert masking.mean_of_channels(x)[0, 0, 0, 0] == 500


def test_a_gate_takes_the_dtype_of_the_map() -> None:
    """A gate of a wider dtype does not widen the product."""
    x = torch.ones(2, 3, 4, 4, dtype=torch.bfloat16)
    gate = masking.spread(torch.rand(2, 3), x)
    assert (gate.shape, (x * gate).dtype) == ((2, 3, 1, 1), torch.bfloat16)

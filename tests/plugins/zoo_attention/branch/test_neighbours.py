"""Convolution with a kernel a position against an unfolded map."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from zoo_attention.branch.neighbours import convolve


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_equals_a_sum_over_an_unfolded_map(kernel_size: int) -> None:
    """The map is read in the order of torch's unfold, with zeros outside."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, 2, 4, 5, dtype=torch.float64)
    kernels = torch.randn(2, 3, kernel_size**2, 4, 5, dtype=torch.float64)
    near = functional.unfold(x.flatten(1, 2), kernel_size, padding=kernel_size // 2)
    near = near.reshape(2, 3, 2, kernel_size**2, 4, 5)
    expected = torch.einsum("ngkhw,ngckhw->ngchw", kernels, near)
    torch.testing.assert_close(convolve(x, kernels, kernel_size), expected)


def test_adds_half_precision_up_in_float32() -> None:
    """The only error of a bfloat16 map is that of its rounded result."""
    x, kernels = torch.ones(1, 1, 1, 9, 9), torch.full((1, 1, 49, 9, 9), 1 + 1 / 128)
    y = convolve(x.bfloat16(), kernels.bfloat16(), 7)
    assert torch.equal(y, convolve(x, kernels, 7).bfloat16())

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


@pytest.mark.parametrize("sides", [(5,), (4, 3)])
@pytest.mark.parametrize("fixed", ["neither", "map", "kernels"])
def test_differentiates_twice(sides: tuple[int, ...], fixed: str) -> None:
    """First and second derivatives pass torch's numerical checks, also where one of both is constant."""
    x = torch.randn(1, 2, 2, *sides, dtype=torch.float64, requires_grad=fixed != "map")
    kernels = torch.randn(1, 2, 3 ** len(sides), *sides, dtype=torch.float64)
    kernels.requires_grad_(fixed != "kernels")
    assert torch.autograd.gradcheck(lambda *both: convolve(*both, 3), (x, kernels))
    assert torch.autograd.gradgradcheck(lambda *both: convolve(*both, 3), (x, kernels))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # by torch itself
def test_differentiates_forwards_and_many_gradients_as_one() -> None:
    """Forward mode and a backward over a batch of gradients pass torch's numerical checks."""
    x, kernels = torch.randn(1, 2, 2, 5), torch.randn(1, 2, 3, 5)
    both = tuple(each.double().requires_grad_() for each in (x, kernels))
    assert torch.autograd.gradcheck(
        lambda *both: convolve(*both, 3), both, check_forward_ad=True, check_batched_grad=True
    )


def test_functional_transforms_still_differentiate() -> None:
    """torch.func's gradient is the one of autograd."""
    x = torch.randn(1, 2, 2, 4, 3, requires_grad=True)
    kernels = torch.randn(1, 2, 9, 4, 3)
    found = torch.func.grad(lambda x: convolve(x, kernels, 3).square().sum())(x.detach())
    expected = torch.autograd.grad(convolve(x, kernels, 3).square().sum(), x)[0]
    torch.testing.assert_close(found, expected)

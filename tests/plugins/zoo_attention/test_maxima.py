"""The maximum whose gradient is cheap, against torch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from zoo_attention import maxima

AXES = pytest.mark.parametrize("axes", [1, 2, 3, (2, 3)])


def gradients(x: Tensor, axes: int | tuple[int, ...], *, keepdim: bool) -> list[Tensor]:
    """Return the gradients of x by this maximum and by torch's."""
    both = []
    for function in (maxima.amax, Tensor.amax):
        leaf = x.detach().requires_grad_()
        y = function(leaf, axes, keepdim=keepdim)
        direction = torch.arange(y.numel(), dtype=x.dtype).reshape(y.shape) + 1
        assert torch.equal(y, x.amax(axes, keepdim=keepdim))
        both.append(torch.autograd.grad(y, leaf, direction)[0])
    return both


@AXES
@pytest.mark.parametrize("keepdim", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_has_the_gradient_of_torchs_maximum(
    axes: int | tuple[int, ...], keepdim: bool, dtype: torch.dtype
) -> None:
    """Values and gradients are torch's, in both layouts, where maxima are shared and where they are not."""
    x = torch.randn(2, 3, 4, 5).to(dtype)
    for each in (x, x.contiguous(memory_format=torch.channels_last), x.relu(), x * 0):
        found, expected = gradients(each, axes, keepdim=keepdim)
        torch.testing.assert_close(found, expected)


def test_an_infinite_maximum_has_a_finite_gradient() -> None:
    """Where nothing is above -infinity, as in a masked sample, the gradient is shared as well."""
    found, expected = gradients(torch.full((1, 2, 3, 4), -math.inf), (2, 3), keepdim=True)
    torch.testing.assert_close(found, expected)


@AXES
def test_differentiates_twice(axes: int | tuple[int, ...]) -> None:
    """First and second derivatives pass torch's numerical checks."""
    x = torch.randperm(48, dtype=torch.float64).reshape(2, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: maxima.amax(x, axes), x)
    assert torch.autograd.gradgradcheck(lambda x: maxima.amax(x, axes).square(), x)


def test_functional_transforms_still_differentiate() -> None:
    """torch.func's transforms get torch's own maximum."""
    x = torch.randn(3, 2, 4, 5)
    found = torch.func.vmap(torch.func.grad(lambda x: maxima.amax(x, (1, 2)).sum()))(x)
    assert torch.equal(found.sum((2, 3)), torch.ones(3, 2))


def test_takes_many_gradients_as_one() -> None:
    """A Jacobian of one backward over many gradients is that of many backwards."""
    x = torch.randn(2, 3, 4)
    found, expected = (
        torch.autograd.functional.jacobian(lambda x: maxima.amax(x, 2), x, vectorize=is_batched)
        for is_batched in (True, False)
    )
    assert torch.equal(found, expected)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # by torch itself
def test_differentiates_forwards() -> None:
    """Forward mode, too, gives the slope of the largest value, where x needs a gradient as well."""
    x = torch.randn(2, 3, 4, requires_grad=True)
    with forward_ad.dual_level():
        slope = forward_ad.unpack_dual(maxima.amax(forward_ad.make_dual(x, x.detach()), 2)).tangent
    assert torch.equal(slope, x.amax(2))

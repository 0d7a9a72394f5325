"""Products in place, and where they are not."""

from __future__ import annotations

import pytest
import torch
import zoo_attention
from zoo_attention import eager

torch.set_num_threads(1)


def test_the_first_factor_becomes_the_product() -> None:
    """Where no gradient needs it, no other memory is taken."""
    own, other = torch.rand(2, 3, 4)
    expected = own * other
    assert eager.multiply(own, other) is own
    assert torch.equal(own, expected)


@pytest.mark.parametrize("which", [0, 1])
def test_a_factor_with_a_gradient_stays(which: int) -> None:
    """Both factors are as they were where either needs a gradient."""
    factors = torch.rand(2, 3, 4).unbind()
    factors[which].requires_grad_()
    before = factors[0].detach().clone()
    assert eager.multiply(*factors).requires_grad
    assert torch.equal(factors[0], before)


def test_a_transform_takes_the_gradient_of_a_batch() -> None:
    """Inside of `vmap` a tensor says that it needs no gradient; the outer transform is given the right one."""
    x = torch.rand(3, 4)

    def function(x: torch.Tensor) -> torch.Tensor:
        return eager.multiply(x.square(), x.exp())

    found = torch.func.grad(lambda x: torch.func.vmap(function)(x).sum())(x)
    torch.testing.assert_close(found, (x.square() + 2 * x) * x.exp())


@pytest.mark.parametrize(
    "component",
    [c for c in zoo_attention.COMPONENTS if c.family in ("channel", "spatial", "mixed")],
    ids=lambda component: component.name,
)
def test_gates_have_a_gradient_through_a_batch(component: object) -> None:
    """The gradient of a batched module, by the transforms of `torch.func`, is that of a loop."""
    module = component.load()(8).eval()
    xs = torch.randn(2, 1, 8, 4, 3)
    found = torch.func.grad(lambda xs: torch.func.vmap(module)(xs).square().sum())(xs)
    xs.requires_grad_()
    sum(module(x).square().sum() for x in xs).backward()
    torch.testing.assert_close(found, xs.grad, rtol=1e-4, atol=1e-5)

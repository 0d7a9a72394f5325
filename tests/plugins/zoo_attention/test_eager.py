"""Products in place, and where they are not."""

from __future__ import annotations

import pytest
import torch
import zoo_attention
from zoo_attention import eager

from zoo import Component

torch.set_num_threads(1)

GATES = [c for c in zoo_attention.COMPONENTS if c.family in ("channel", "spatial", "mixed")]


def each(components: list[Component]) -> pytest.MarkDecorator:
    """Return what runs a test for each component."""
    return pytest.mark.parametrize("component", components, ids=lambda component: component.name)


@pytest.mark.parametrize("which", [0, 1])
def test_a_factor_becomes_the_product(which: int) -> None:
    """Where no gradient needs it, no other memory is taken."""
    factors = torch.rand(2, 3, 4).unbind()
    expected = factors[0] * factors[1]
    assert eager.multiply(*factors, into=factors[which]) is factors[which]
    assert torch.equal(factors[which], expected)


@pytest.mark.parametrize("which", [0, 1])
def test_a_factor_with_a_gradient_stays(which: int) -> None:
    """Both factors are as they were where either needs a gradient."""
    factors = torch.rand(2, 3, 4).unbind()
    factors[which].requires_grad_()
    before = [factor.detach().clone() for factor in factors]
    assert eager.multiply(*factors, into=factors[0]).requires_grad
    assert all(map(torch.equal, factors, before))


def test_a_gate_of_another_layout_is_not_written_over() -> None:
    """What is made of a map in channels_last would not be in channels_last any more."""
    x = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    gate = torch.rand(2, 3, 4, 5)
    assert eager.multiply(x, gate, into=gate).stride() == x.stride()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("training", [False, True])
@each([c for c in GATES if c.name != "shuffle"])  # whose output is a map with its axes turned
def test_gates_keep_the_layout(
    component: Component, training: bool, layout: torch.memory_format
) -> None:
    """What follows in a network does not have to copy the map first."""
    x = torch.randn(2, 8, 4, 3).contiguous(memory_format=layout).requires_grad_(training)
    module = component.load()(8).to(memory_format=layout).train(training)
    with torch.set_grad_enabled(training):
        assert module(x).is_contiguous(memory_format=layout)


def test_a_transform_takes_the_gradient_of_a_batch() -> None:
    """Inside of `vmap` a tensor says that it needs no gradient; the outer transform is given the right one."""
    x = torch.rand(3, 4)

    def function(x: torch.Tensor) -> torch.Tensor:
        own = x.square()
        return eager.multiply(own, x.exp(), into=own)

    found = torch.func.grad(lambda x: torch.func.vmap(function)(x).sum())(x)
    torch.testing.assert_close(found, (x.square() + 2 * x) * x.exp())


@each(GATES)
def test_gates_have_a_gradient_through_a_batch(component: Component) -> None:
    """The gradient of a batched module, by the transforms of `torch.func`, is that of a loop."""
    module = component.load()(8).eval()
    xs = torch.randn(2, 1, 8, 4, 3)
    found = torch.func.grad(lambda xs: torch.func.vmap(module)(xs).square().sum())(xs)
    xs.requires_grad_()
    sum(module(x).square().sum() for x in xs).backward()
    torch.testing.assert_close(found, xs.grad, rtol=1e-4, atol=1e-5)

"""The shared gradient of gates over channels, against what autograd makes of the plain product."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode
from zoo_attention import masking, weighing

SIZES = pytest.mark.parametrize("size", [(1,), (7,), (1, 1), (5, 3)])


def gate(z: Tensor) -> Tensor:
    """A gate that mixes channels, as those of the modules do."""
    return torch.sigmoid(z.flip(1) * z + z.sum(1, keepdim=True))


def by_means(x: Tensor) -> Tensor:
    """What is tested: the gate of the means."""
    return weighing.weigh_by_means(x, None, gate)


def plain(x: Tensor) -> Tensor:
    """The same as torch differentiates it."""
    return x * masking.spread(gate(masking.mean(x, None)), x)


def gradients(function: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor) -> Tensor:
    """Return the gradient of x."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x), x, direction)[0]


class Watch(TorchDispatchMode):
    """Notes which operations run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation."""
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def backward_of(function: Callable[[Tensor], Tensor], x: Tensor) -> set[str]:
    """Return the names of the operations that a backward runs."""
    y = function(x.detach().requires_grad_()).square().sum()
    with Watch() as watch:
        y.backward()
    return watch.names


@SIZES
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_gives_the_gradient_of_the_plain_product(size: tuple[int, ...], dtype: torch.dtype) -> None:
    """In each dtype and for each number of axes, forward and gradient are those of autograd."""
    x, direction = torch.randn(2, 3, 4, *size).to(dtype)
    torch.testing.assert_close(by_means(x.requires_grad_()), plain(x))
    exact = gradients(plain, x.double(), direction.double())
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype.itemsize == 2 else {}
    found = gradients(by_means, x, direction)
    torch.testing.assert_close(found, exact.to(dtype), **tolerance)
    assert found.is_contiguous()


@pytest.mark.parametrize("layout", ["channels_last", "expanded", "sliced"])
def test_takes_maps_that_do_not_lie_in_one_piece(layout: str) -> None:
    """A map or an incoming gradient of another layout gives the same numbers."""
    x, direction = torch.randn(2, 3, 4, 6, 5, dtype=torch.float64)
    expected = gradients(plain, x, direction)
    if layout == "channels_last":
        found = gradients(by_means, x.contiguous(memory_format=torch.channels_last), direction)
        torch.testing.assert_close(found, expected)
        direction = direction.contiguous(memory_format=torch.channels_last)
    elif layout == "expanded":
        direction = direction[:, :, :1, :1].expand_as(x)
        expected = gradients(plain, x, direction)
    else:
        direction = torch.cat([direction, direction], 3)[..., :5]
    torch.testing.assert_close(gradients(by_means, x, direction), expected)


@SIZES
def test_differentiates_twice(size: tuple[int, ...]) -> None:
    """First and second derivatives pass torch's numerical checks, of the map and of a gate's parameter."""
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, dtype=torch.float64, requires_grad=True)

    def function(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        given = torch.sigmoid(x.flatten(2).amax(2) * weight)
        return weighing.weigh_by_means(x, None, lambda z: gate(z * weight)), weighing.weigh(
            x, given
        )

    assert torch.autograd.gradcheck(function, (x, weight))
    assert torch.autograd.gradgradcheck(function, (x, weight))


def test_a_graph_that_is_kept_can_be_used_again() -> None:
    """Two backward passes over one graph give the same gradient."""
    x = torch.randn(2, 3, 4, requires_grad=True)
    y = by_means(x).square().sum()
    first = torch.autograd.grad(y, x, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(y, x)[0], first)


def test_only_what_needs_a_gradient_gets_one() -> None:
    """With a map that needs none, the gate's parameter gets its gradient; with a constant gate, the map."""
    x, direction = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    weight = torch.randn(3, dtype=torch.float64, requires_grad=True)
    y = weighing.weigh_by_means(x, None, lambda z: gate(z * weight))
    expected = x * masking.spread(gate(masking.mean(x, None) * weight), x)
    (a,), (b,) = (torch.autograd.grad(each, weight, direction) for each in (y, expected))
    torch.testing.assert_close(a, b)
    fixed = torch.rand(2, 3, dtype=torch.float64)
    found = gradients(lambda x: weighing.weigh_by_means(x, None, lambda _: fixed), x, direction)
    torch.testing.assert_close(found, direction * fixed.unsqueeze(2))


def test_masked_means_are_those_of_real_positions() -> None:
    """With a mask the gate sees real positions only, and the gradient is the plain one."""
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    y = weighing.weigh_by_means(x, mask, gate)
    expected = x * masking.spread(gate(masking.mean(x, mask)), x)
    torch.testing.assert_close(y, expected)
    sums = [torch.autograd.grad(each.square().sum(), x)[0] for each in (y, expected)]
    torch.testing.assert_close(*sums)


def test_the_product_with_the_gradient_is_not_written() -> None:
    """A backward runs the reduction in one pass where it pays, and only there."""
    x = torch.randn(2, 3, 4, 4)
    assert "native_group_norm_backward" in backward_of(by_means, x)
    assert "native_group_norm_backward" not in backward_of(plain, x)
    last = x.contiguous(memory_format=torch.channels_last)
    assert "native_group_norm_backward" not in backward_of(by_means, last)


def test_functional_transforms_still_differentiate() -> None:
    """torch.func's transforms get the plain product, which they can batch and differentiate."""
    x = torch.randn(3, 2, 4, 5, dtype=torch.float64)
    found = torch.func.vmap(torch.func.grad(lambda x: by_means(x).square().sum()))(x)
    torch.testing.assert_close(
        found, torch.stack([2 * gradients(plain, each, plain(each)) for each in x])
    )


def differentiate(*, create_graph: bool, for_map: bool) -> weakref.ref[Tensor]:
    """Make a graph and its gradients, let go of both, and return a reference to its parameter."""
    x = torch.randn(2, 3, 4, requires_grad=True)
    weight = torch.nn.Parameter(torch.randn(3))
    y = weighing.weigh_by_means(x * 2, None, lambda z: torch.sigmoid(z * weight))
    wanted = [x, weight] if for_map else [weight]
    torch.autograd.grad(y.square().sum(), wanted, create_graph=create_graph)
    return weakref.ref(weight)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("for_map", [False, True])
def test_the_graph_is_given_back(create_graph: bool, for_map: bool) -> None:
    """After a backward nothing is kept: a link that held a gate with its graph would hold itself."""
    kept = differentiate(create_graph=create_graph, for_map=for_map)
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("function", [by_means, lambda x: weighing.weigh(x, gate(x.amax(2)))])
def test_takes_many_gradients_as_one(function: Callable[[Tensor], Tensor]) -> None:
    """A Jacobian of one backward over many gradients is that of many backwards."""
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    found, expected = (
        torch.autograd.functional.jacobian(function, x, vectorize=is_batched)
        for is_batched in (True, False)
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # by torch itself
def test_differentiates_forwards() -> None:
    """Forward mode, too, gives the slope of the plain product, where x needs a gradient as well."""
    x, direction = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    x.requires_grad_()
    with forward_ad.dual_level():
        found, expected = (
            forward_ad.unpack_dual(function(forward_ad.make_dual(x, direction))).tangent
            for function in (by_means, plain)
        )
    torch.testing.assert_close(found, expected)


def test_wide_means_are_not_rounded() -> None:
    """A gate of wide means sees them in float32, and the gradient is that of the plain product."""
    x, direction = torch.randn(2, 2, 3, 4, 5).bfloat16()
    seen = []

    def wide(x: Tensor) -> Tensor:
        return weighing.weigh_by_means(
            x, None, lambda z: seen.append(z.dtype) or gate(z), is_wide=True
        )

    exact = gradients(plain, x.double(), direction.double())
    found = gradients(wide, x, direction)
    torch.testing.assert_close(found, exact.bfloat16(), rtol=2e-2, atol=2e-2)
    assert seen == [torch.float32]

"""MaximumActivations against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_pooling.mac import MaximumActivations


def by_the_paper(x: torch.Tensor) -> torch.Tensor:
    """Take the maxima and divide by the root of their sum of squares, number by number."""
    rows = []
    for sample in x.flatten(2).tolist():
        maxima = [sorted(values)[-1] for values in sample]
        length = math.sqrt(sum(m * m for m in maxima))
        rows.append([m / length for m in maxima])
    return torch.tensor(rows, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = MaximumActivations(4)
    return head, (4, 3, 2), by_the_paper


@pytest.mark.parametrize("size", [(3, 2), (5,)])
def test_follows_the_formula(size: tuple[int, ...]) -> None:
    """Each sample comes out as its maxima, divided by the root of their sum of squares."""
    torch.manual_seed(0)
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(MaximumActivations(4, ndim=len(size))(x), by_the_paper(x))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = MaximumActivations(3, ndim=1)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_an_empty_map_gives_zeros() -> None:
    """Maxima of 0 have no length to divide by."""
    assert MaximumActivations(4)(torch.zeros(1, 4, 2, 2)).abs().max() == 0


def test_a_map_of_zeros_has_no_huge_gradient() -> None:
    """What a length close to 0 divides does not drown the other samples."""
    torch.manual_seed(0)
    x = torch.zeros(1, 8, 6, 6, requires_grad=True)
    y = MaximumActivations(8)(x)
    (y * torch.randn_like(y)).sum().backward()
    assert x.grad.abs().max() < 1e8

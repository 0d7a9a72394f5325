"""SoftPool against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_pooling.softpool import SoftPool


def by_the_paper(x: torch.Tensor) -> torch.Tensor:
    """Weigh the values of each channel by their exponentials, number by number."""
    rows = [
        [sum(math.exp(v) * v for v in values) / sum(map(math.exp, values)) for values in sample]
        for sample in x.flatten(2).tolist()
    ]
    return torch.tensor(rows, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = SoftPool(4)
    return head, (4, 3, 2), by_the_paper


@pytest.mark.parametrize("size", [(3, 2), (5,)])
def test_follows_the_formula(size: tuple[int, ...]) -> None:
    """Each channel comes out as the sum of its values, weighted by their softmax."""
    torch.manual_seed(0)
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(SoftPool(4, ndim=len(size))(x), by_the_paper(x))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = SoftPool(3, ndim=1)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_negative_maps_stay_negative() -> None:
    """The output is not cut at 0."""
    y = SoftPool(4)(-torch.rand(2, 4, 3, 3) - 1)
    assert (y < -1).all()


def test_channels_have_their_own_weights() -> None:
    """Another channel's values do not change a channel's output."""
    x = torch.randn(2, 4, 3, 3)
    other = x.clone()
    other[:, 1:] += 5 * torch.rand(2, 3, 3, 3)
    torch.testing.assert_close(SoftPool(4)(x)[:, 0], SoftPool(4)(other)[:, 0])

"""AveragePool against its formula in loops, and against timm's."""

from __future__ import annotations

import pytest
import torch
from zoo_pooling.avg import AveragePool


def by_hand(x: torch.Tensor) -> torch.Tensor:
    """Average each channel, number by number."""
    rows = []
    for sample in x.flatten(2).tolist():
        means = [sum(values) / len(values) for values in sample]
        rows.append(means)
    return torch.tensor(rows, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = AveragePool(4)
    return head, (4, 3, 2), by_hand


@pytest.mark.parametrize("size", [(3, 2), (5,)])
def test_follows_the_formula(size: tuple[int, ...]) -> None:
    """Each channel comes out as the mean of its values."""
    torch.manual_seed(0)
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(AveragePool(4, ndim=len(size))(x), by_hand(x))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = AveragePool(3, ndim=1)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_equals_timm() -> None:
    """It gives the numbers and the width of timm's pooling of that name."""
    layers = pytest.importorskip("timm.layers")
    theirs = layers.SelectAdaptivePool2d(pool_type="avg", flatten=True)
    ours = AveragePool(8)
    x = torch.randn(2, 8, 5, 3)
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours.out_features == 8 * theirs.feat_mult()

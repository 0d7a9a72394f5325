"""SequencePool against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_pooling.seqpool import SequencePool


def by_the_paper(x: torch.Tensor, head: SequencePool) -> torch.Tensor:
    """Weigh positions by the exponential of their score, number by number."""
    w = head.score.weight[0].tolist()
    rows = []
    for vectors in x.flatten(2).transpose(1, 2).tolist():  # P lists of C
        powers = [math.exp(sum(a * b for a, b in zip(w, v, strict=True))) for v in vectors]
        weighted = zip(powers, vectors, strict=True)
        sums = [
            sum(values) for values in zip(*([p * c for c in v] for p, v in weighted), strict=True)
        ]
        rows.append([value / sum(powers) for value in sums])
    return torch.tensor(rows, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = SequencePool(4)
    return head, (4, 3, 2), lambda x: by_the_paper(x, head)


@pytest.mark.parametrize("size", [(3, 2), (5,)])
def test_follows_the_formula(size: tuple[int, ...]) -> None:
    """The output is the mean of positions, weighted by the softmax of a linear layer."""
    torch.manual_seed(0)
    head = SequencePool(4, ndim=len(size)).double().requires_grad_(False)
    x = 3 * torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(head(x), by_the_paper(x, head))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = SequencePool(3, ndim=1).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_has_one_weight_a_channel() -> None:
    """There is nothing to learn but the layer's weights."""
    assert sum(p.numel() for p in SequencePool(16).parameters()) == 16

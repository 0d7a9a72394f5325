"""SimPool against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_pooling.simpool import SimPool

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, head: SimPool) -> torch.Tensor:
    """Ask each position with the mean, and average the normed vectors by their answers."""
    samples = []
    for vectors in x.flatten(2).transpose(1, 2):  # (P, C)
        query = head.query.weight @ (vectors.sum(0) / len(vectors))
        normed = []
        for v in vectors:
            scaled = (v - v.mean()) / (v.var(correction=0) + head.norm.eps).sqrt()
            normed.append(scaled * head.norm.weight + head.norm.bias)
        scores = [(query @ (head.key.weight @ v)).item() / math.sqrt(x.shape[1]) for v in normed]
        total = sum(math.exp(score) for score in scores)
        weights = [math.exp(score) / total for score in scores]
        if head.gamma is None:
            y = sum(a * v for a, v in zip(weights, normed, strict=True))
        else:
            least = min(v.min().item() for v in normed)
            shifted = [(v - least + head.eps) ** head.gamma for v in normed]
            y = sum(a * v for a, v in zip(weights, shifted, strict=True)) ** (1 / head.gamma)
        samples.append(y)
    return torch.stack(samples)  # type: ignore[arg-type]  # sums of tensors are tensors


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = SimPool(4)
    return head, (4, 3, 2), lambda x: by_the_paper(x, head)


@pytest.mark.parametrize("size", [(3, 2), (5,)])
@pytest.mark.parametrize("gamma", [2.0, 1.25, None])
def test_follows_the_formula(size: tuple[int, ...], gamma: float | None) -> None:
    """With and without the generalised mean the output is the paper's."""
    torch.manual_seed(0)
    head = SimPool(4, ndim=len(size), gamma=gamma).double().requires_grad_(False)
    head.norm.weight.uniform_(0.5, 2)
    head.norm.bias.normal_()
    x = 3 * torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(head(x), by_the_paper(x, head))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = SimPool(3, ndim=1, eps=0.1).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_equals_timm() -> None:
    """Without gamma and with the same weights it gives the numbers of timm's SimPool2d."""
    other_pool = pytest.importorskip("timm.layers.other_pool")
    theirs = other_pool.SimPool2d(8)
    ours = SimPool(8, gamma=None)
    state = {"query.weight": theirs.q.weight, "key.weight": theirs.k.weight}
    norm = {"norm.weight": theirs.norm.weight, "norm.bias": theirs.norm.bias}
    ours.load_state_dict(state | norm)
    x = torch.randn(2, 8, 5, 3)
    torch.testing.assert_close(ours(x), theirs(x))


def test_refuses_bad_options() -> None:
    """The exponent and what is added are above 0."""
    with pytest.raises(InvalidValue, match="SimPool: gamma is -2, but must be a finite number"):
        SimPool(8, gamma=-2)
    with pytest.raises(InvalidValue, match="SimPool: eps is 0, but must be a finite number"):
        SimPool(8, eps=0)

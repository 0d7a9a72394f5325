"""GatedAttentionMILPool against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_pooling.gated_abmil import GatedAttentionMILPool

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, head: GatedAttentionMILPool) -> torch.Tensor:
    """Score, softmax and weighted sum, position by position."""
    samples = []
    for vectors in x.flatten(2).transpose(1, 2):  # (P, C)
        scores = []
        for vector in vectors:
            hidden = head.project.weight @ vector
            if head.project.bias is not None:
                hidden = hidden + head.project.bias
            gate = head.gate.weight @ vector
            if head.gate.bias is not None:
                gate = gate + head.gate.bias
            score = 0.0
            for w, h, g in zip(head.score.weight[0].tolist(), hidden, gate, strict=True):
                score += w * math.tanh(h) / (1 + math.exp(-g))
            scores.append(score)
        total = sum(math.exp(score) for score in scores)
        weights = [math.exp(score) / total for score in scores]
        samples.append(sum(a * vector for a, vector in zip(weights, vectors, strict=True)))
    return torch.stack(samples)  # type: ignore[arg-type]  # sums of tensors are tensors


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = GatedAttentionMILPool(4, hidden_channels=3)
    return head, (4, 3, 2), lambda x: by_the_paper(x, head)


@pytest.mark.parametrize("size", [(3, 2), (5,)])
@pytest.mark.parametrize("use_bias", [False, True])
def test_follows_the_formula(size: tuple[int, ...], use_bias: bool) -> None:
    """The output is the mean of positions, weighted by the paper's network."""
    torch.manual_seed(0)
    head = GatedAttentionMILPool(4, ndim=len(size), hidden_channels=3, use_bias=use_bias)
    head = head.double().requires_grad_(False)
    x = 3 * torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(head(x), by_the_paper(x, head))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = GatedAttentionMILPool(3, ndim=1, hidden_channels=2).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_the_network_is_128_wide() -> None:
    """The default width is the paper's."""
    assert GatedAttentionMILPool(16).project.weight.shape == (128, 16)


def test_refuses_bad_options() -> None:
    """Width and flag are checked."""
    with pytest.raises(InvalidValue, match="hidden_channels is 0, but must be a whole number"):
        GatedAttentionMILPool(8, hidden_channels=0)
    with pytest.raises(InvalidValue, match="use_bias is 1, but must be True or False"):
        GatedAttentionMILPool(8, use_bias=1)  # type: ignore[arg-type]  # what is tested

"""AttentiveStatisticsPool against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_pooling.attentive_stats import AttentiveStatisticsPool

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, head: AttentiveStatisticsPool) -> torch.Tensor:
    """Weigh and average, channel by channel and position by position."""
    eps = head.eps
    samples = []
    for vectors in x.flatten(2).transpose(1, 2):  # (P, C)
        mean = vectors.sum(0) / len(vectors)
        deviation = ((vectors - mean).square().sum(0) / len(vectors) + eps).sqrt()
        scores = []
        for vector in vectors:
            hidden = head.project.weight @ vector + head.project.bias
            if head.context is not None:
                hidden = hidden + head.context.weight @ torch.cat([mean, deviation])
            scores.append((head.score.weight @ hidden.tanh()).tolist())
        means, deviations = [], []
        for c in range(x.shape[1]):
            powers = [math.exp(score[c]) for score in scores]
            pairs = [
                (p / sum(powers), v) for p, v in zip(powers, vectors[:, c].tolist(), strict=True)
            ]
            means.append(sum(a * v for a, v in pairs))
            deviations.append(math.sqrt(sum(a * (v - means[-1]) ** 2 for a, v in pairs) + eps))
        samples.append(means + deviations)
    return torch.tensor(samples, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = AttentiveStatisticsPool(4, hidden_channels=3, eps=1e-3)
    return head, (4, 3, 2), lambda x: by_the_paper(x, head)


@pytest.mark.parametrize("size", [(3, 2), (5,)])
@pytest.mark.parametrize("use_context", [True, False])
def test_follows_the_formula(size: tuple[int, ...], use_context: bool) -> None:
    """Weighted means come first, then weighted deviations."""
    torch.manual_seed(0)
    head = AttentiveStatisticsPool(
        4, ndim=len(size), hidden_channels=3, use_context=use_context, eps=1e-3
    )
    head = head.double().requires_grad_(False)
    x = 3 * torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(head(x), by_the_paper(x, head))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = AttentiveStatisticsPool(2, ndim=1, hidden_channels=2).double()
    x = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_refuses_bad_options() -> None:
    """Width, flag and eps are checked."""
    with pytest.raises(InvalidValue, match="hidden_channels is 0, but must be a whole number"):
        AttentiveStatisticsPool(8, hidden_channels=0)
    with pytest.raises(InvalidValue, match="use_context is 1, but must be True or False"):
        AttentiveStatisticsPool(8, use_context=1)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InvalidValue, match="eps is 0, but must be a finite number above 0"):
        AttentiveStatisticsPool(8, eps=0)

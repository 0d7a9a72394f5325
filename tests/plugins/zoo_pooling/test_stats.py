"""StatisticsPool against its formula in loops."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from zoo_pooling.stats import StatisticsPool

from zoo import InvalidValue


def by_hand(x: torch.Tensor, eps: float) -> torch.Tensor:
    """Put means before deviations, number by number."""
    rows = [
        [
            *(statistics.fmean(values) for values in sample),
            *(math.sqrt(statistics.pvariance(values) + eps) for values in sample),
        ]
        for sample in x.flatten(2).tolist()
    ]
    return torch.tensor(rows, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = StatisticsPool(4)
    return head, (4, 3, 2), lambda x: by_hand(x, 1e-5)


@pytest.mark.parametrize("size", [(3, 2), (5,), (1,)])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_follows_the_formula(size: tuple[int, ...], eps: float) -> None:
    """Means come first, then deviations, with eps inside the root."""
    torch.manual_seed(0)
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(StatisticsPool(4, ndim=len(size), eps=eps)(x), by_hand(x, eps))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = StatisticsPool(3, ndim=1)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_a_large_mean_hides_no_deviation() -> None:
    """The variance is not the difference of two large numbers."""
    x = torch.tensor([[[9999.0, 10001.0]]])
    assert StatisticsPool(1, ndim=1)(x)[0, 1].item() == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("eps", [0, -1e-5, float("nan"), True, "1"])
def test_refuses_a_bad_eps(eps: object) -> None:
    """What is added is a finite number above 0."""
    with pytest.raises(InvalidValue, match=r"StatisticsPool: eps is .* number above 0"):
        StatisticsPool(8, eps=eps)  # type: ignore[arg-type]  # what is tested

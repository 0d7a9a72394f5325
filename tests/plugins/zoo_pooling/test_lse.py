"""LogSumExpPool against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_pooling.lse import LogSumExpPool

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, r: float) -> torch.Tensor:
    """Divide the logarithm of the mean exponential by r, number by number."""
    rows = [
        [math.log(sum(math.exp(r * v) for v in values) / len(values)) / r for values in sample]
        for sample in x.flatten(2).tolist()
    ]
    return torch.tensor(rows, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = LogSumExpPool(4)
    return head, (4, 3, 2), lambda x: by_the_paper(x, head.log_r.exp().item())


@pytest.mark.parametrize("size", [(3, 2), (5,)])
@pytest.mark.parametrize("r", [0.1, 1, 10.0])
def test_follows_the_formula(size: tuple[int, ...], r: float) -> None:
    """Each channel comes out as the logarithm of its mean exponential, divided by r."""
    torch.manual_seed(0)
    head = LogSumExpPool(4, ndim=len(size), r=r).double()
    with torch.no_grad():
        head.log_r.fill_(math.log(r))
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(head(x).detach(), by_the_paper(x, r))


def test_gradient_is_that_of_differences() -> None:
    """Gradients of the map and of r agree with finite differences, masked as well."""
    torch.manual_seed(0)
    head = LogSumExpPool(3, ndim=1, r=2.0).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])

    def run(x: torch.Tensor, log_r: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return torch.func.functional_call(head, {"log_r": log_r}, (x, mask))

    assert torch.autograd.gradcheck(run, (x, head.log_r, None))
    assert torch.autograd.gradcheck(run, (x, head.log_r, mask))


def test_little_is_the_mean_and_much_is_the_maximum() -> None:
    """Sharpness leads from the mean to the maximum, without overflow."""
    x = torch.randn(2, 8, 4, 3)
    torch.testing.assert_close(LogSumExpPool(8, r=1e-3)(x), x.mean((2, 3)), rtol=0, atol=5e-3)
    torch.testing.assert_close(LogSumExpPool(8, r=1e5)(x), x.amax((2, 3)), rtol=0, atol=1e-3)


def test_sharpness_stays_positive() -> None:
    """However far a step takes the parameter, r is above 0 and the output finite."""
    head = LogSumExpPool(4)
    assert head.r.item() == pytest.approx(10.0)
    head.log_r.grad = torch.full((1,), 9.0)
    torch.optim.SGD(head.parameters(), lr=1.0).step()
    assert 0 < head.r.item() < 0.01
    assert head(torch.rand(1, 4, 3, 3)).isfinite().all()


def test_equals_timm() -> None:
    """It gives the numbers of timm's LsePlus2d, which learns r itself."""
    other_pool = pytest.importorskip("timm.layers.other_pool")
    x = torch.randn(2, 8, 5, 3)
    torch.testing.assert_close(LogSumExpPool(8, r=4.0)(x), other_pool.LsePlus2d(r=4.0)(x))


@pytest.mark.parametrize("value", [0, -3.0, float("nan"), float("inf"), True, "3"])
def test_refuses_a_bad_sharpness(value: object) -> None:
    """The sharpness is a finite number above 0."""
    with pytest.raises(InvalidValue, match=r"LogSumExpPool: r is .* number above 0"):
        LogSumExpPool(8, r=value)  # type: ignore[arg-type]  # what is tested

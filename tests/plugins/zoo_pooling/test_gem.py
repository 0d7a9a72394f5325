"""GeneralizedMeanPool against its formula in loops."""

from __future__ import annotations

import pytest
import torch
from zoo_pooling.gem import GeneralizedMeanPool

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, p: float, eps: float) -> torch.Tensor:
    """Return the p-th root of the mean of p-th powers, number by number."""
    rows = [
        [(sum(max(v, eps) ** p for v in values) / len(values)) ** (1 / p) for values in sample]
        for sample in x.flatten(2).tolist()
    ]
    return torch.tensor(rows, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = GeneralizedMeanPool(4, eps=1e-3)
    return head, (4, 3, 2), lambda x: by_the_paper(x, head.log_p.exp().item(), 1e-3)


@pytest.mark.parametrize("size", [(3, 2), (5,)])
@pytest.mark.parametrize("p", [0.5, 1, 3.0, 6.5])
def test_follows_the_formula(size: tuple[int, ...], p: float) -> None:
    """The output is the paper's generalised mean, negative values clamped."""
    torch.manual_seed(0)
    head = GeneralizedMeanPool(4, ndim=len(size), p=p, eps=1e-3).double()
    with torch.no_grad():
        head.log_p.copy_(torch.tensor(p, dtype=torch.float64).log())
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(head(x).detach(), by_the_paper(x, p, 1e-3))


def test_gradient_is_that_of_differences() -> None:
    """Gradients of the map and of the exponent agree with finite differences, masked as well."""
    torch.manual_seed(0)
    head = GeneralizedMeanPool(3, ndim=1).double()
    x = (torch.rand(2, 3, 4, dtype=torch.float64) + 0.1).requires_grad_()
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])

    def run(x: torch.Tensor, log_p: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return torch.func.functional_call(head, {"log_p": log_p}, (x, mask))

    assert torch.autograd.gradcheck(run, (x, head.log_p, None))
    assert torch.autograd.gradcheck(run, (x, head.log_p, mask))


def test_one_is_the_mean_and_much_is_the_maximum() -> None:
    """The exponent leads from the mean of a positive map to its maximum, without overflow."""
    x = torch.rand(2, 8, 4, 3) * 100 + 1
    torch.testing.assert_close(GeneralizedMeanPool(8, p=1.0)(x), x.mean((2, 3)))
    torch.testing.assert_close(GeneralizedMeanPool(8, p=1e5)(x), x.amax((2, 3)), rtol=1e-3, atol=0)


def test_exponent_stays_positive() -> None:
    """However far a step takes the parameter, the exponent is above 0 and the output finite."""
    head = GeneralizedMeanPool(4)
    assert head.p.item() == pytest.approx(3.0)
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    x = torch.rand(1, 4, 3, 3)
    head.log_p.grad = torch.full((1,), 8.0)
    optimizer.step()
    assert 0 < head.p.item() < 0.01
    assert head(x).isfinite().all()


@pytest.mark.parametrize("value", [0, -3.0, float("nan"), float("inf"), True, "3", None])
@pytest.mark.parametrize("name", ["p", "eps"])
def test_refuses_bad_options(name: str, value: object) -> None:
    """The exponent and the clamp are finite numbers above 0."""
    with pytest.raises(InvalidValue, match=f"GeneralizedMeanPool: {name} is .* number above 0"):
        GeneralizedMeanPool(8, **{name: value})  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), float("-inf")])
def test_padding_that_is_no_number_spoils_no_gradient(garbage: float) -> None:
    """Nor does it that of the exponent; a sample may be all padding."""
    head, plain = GeneralizedMeanPool(3, ndim=1), GeneralizedMeanPool(3, ndim=1)
    mask = torch.tensor([[True, True, True, False], [False] * 4])
    real = torch.randn(1, 3, 3)
    x = torch.full((2, 3, 4), garbage)
    x[0, :, :3] = real[0]
    head(x.requires_grad_(), mask).sum().backward()
    plain(real).sum().backward()
    torch.testing.assert_close(head.log_p.grad, plain.log_p.grad)
    assert x.grad.isfinite().all()

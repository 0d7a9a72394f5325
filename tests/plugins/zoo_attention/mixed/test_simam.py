"""SimAM against the energy function of its paper."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.mixed.simam import SimAM

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, lam: float, *, less: int) -> torch.Tensor:
    """Scale each value by the sigmoid of 1 / its minimal energy (equation 5), number by number."""
    y = torch.empty_like(x)
    flat, out = x.flatten(2), y.view(*x.shape[:2], -1)
    for n in range(flat.shape[0]):
        for c in range(flat.shape[1]):
            values = flat[n, c].tolist()
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / (len(values) - less)
            for i, t in enumerate(values):
                energy = 4 * (variance + lam) / ((t - mean) ** 2 + 2 * variance + 2 * lam)
                out[n, c, i] = t / (1 + math.exp(-1 / energy))
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = SimAM(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, 1e-4, less=1)


@pytest.mark.parametrize("size", [(3, 4), (6,)])
@pytest.mark.parametrize("use_sample_variance", [False, True])
def test_follows_the_formula(size: tuple[int, ...], use_sample_variance: bool) -> None:
    """The output is that of the paper's equations, or with M - 1 that of its listing."""
    torch.manual_seed(0)
    module = SimAM(3, ndim=len(size), regularization=0.01, use_sample_variance=use_sample_variance)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = by_the_paper(x, 0.01, less=int(use_sample_variance))
    torch.testing.assert_close(module(x), expected)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    module = SimAM(3, ndim=1)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_one_position_is_no_division_by_zero() -> None:
    """A map of one position has variance 0, so that every value is scaled by sigmoid(1/2)."""
    x = torch.randn(2, 8, 1, 1)
    torch.testing.assert_close(SimAM(8)(x), x * torch.sigmoid(torch.tensor(0.5)))


def test_one_real_position_is_no_division_by_zero() -> None:
    """The same holds for a mask that leaves one position."""
    x = torch.randn(1, 8, 3)
    mask = torch.tensor([[True, False, False]])
    y = SimAM(8, ndim=1)(x, mask)
    torch.testing.assert_close(y[..., 0], x[..., 0] * torch.sigmoid(torch.tensor(0.5)))


def test_has_no_parameters() -> None:
    """Nothing is learned and nothing is saved."""
    assert SimAM(8).state_dict() == {}


def test_attention_map_is_the_mean_gate() -> None:
    """The map is the mean over channels of what the input is multiplied by."""
    x = torch.rand(2, 8, 4, 3) + 0.5
    module = SimAM(8)
    torch.testing.assert_close(module.attention_map(x).spatial, (module(x) / x).mean(1))


@pytest.mark.parametrize("value", [0, -1e-4, float("nan"), float("inf"), True, "1e-4", None])
def test_refuses_a_bad_regularization(value: object) -> None:
    """The regularisation is a finite number above 0."""
    with pytest.raises(InvalidValue, match=r"SimAM: regularization is .* finite number above 0"):
        SimAM(8, regularization=value)  # type: ignore[arg-type]  # what is tested


def test_refuses_a_bad_flag() -> None:
    """A flag is True or False."""
    with pytest.raises(InvalidValue, match="use_sample_variance is 0, but must be True or False"):
        SimAM(8, use_sample_variance=0)  # type: ignore[arg-type]  # what is tested

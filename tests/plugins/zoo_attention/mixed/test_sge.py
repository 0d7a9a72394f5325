"""SpatialGroupEnhance against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.mixed.sge import SpatialGroupEnhance

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, module: SpatialGroupEnhance, *, less: int) -> torch.Tensor:
    """Section 3 for (N, C, H, W), number by number."""
    samples, channels, _, width = x.shape
    size = channels // module.groups
    y = torch.empty_like(x)
    for n in range(samples):
        for g in range(module.groups):
            vectors = x[n, g * size : (g + 1) * size].flatten(1).T.tolist()  # one a position
            mean = [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]
            c = [sum(a * b for a, b in zip(v, mean, strict=True)) for v in vectors]
            middle = sum(c) / len(c)
            deviation = math.sqrt(sum((v - middle) ** 2 for v in c) / (len(c) - less))
            for i, value in enumerate(c):
                normal = (value - middle) / (deviation + 1e-5)
                logit = module.weight[g].item() * normal + module.bias[g].item()
                for d in range(size):
                    at = (n, g * size + d, i // width, i % width)
                    y[at] = x[at] / (1 + math.exp(-logit))
    return y


def build(channels: int, **options: object) -> SpatialGroupEnhance:
    """Return the module in float64 with random weights."""
    torch.manual_seed(0)
    module = SpatialGroupEnhance(channels, **options).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = SpatialGroupEnhance(4, groups=2)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module, less=0)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("use_sample_variance", [False, True])
def test_follows_the_formula(groups: int, use_sample_variance: bool) -> None:
    """The output is that of the paper's equations, or with P - 1 that of the authors' code."""
    module = build(6, groups=groups, use_sample_variance=use_sample_variance)
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    expected = by_the_paper(x, module, less=int(use_sample_variance))
    torch.testing.assert_close(module(x).detach(), expected)


@pytest.mark.parametrize("use_sample_variance", [False, True])
def test_gradient_is_that_of_differences(use_sample_variance: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = build(4, ndim=1, groups=2, use_sample_variance=use_sample_variance)
    x = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_starts_as_one_weight_for_all() -> None:
    """Weight 0 and bias 1: every value is scaled by sigmoid(1)."""
    x = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(SpatialGroupEnhance(8)(x), x * torch.sigmoid(torch.tensor(1.0)))


@pytest.mark.parametrize("use_sample_variance", [False, True])
def test_a_flat_map_is_no_division_by_zero(use_sample_variance: bool) -> None:
    """One position, and a constant map, have deviation 0: the gate is the bias, the gradient finite."""
    module = build(8, use_sample_variance=use_sample_variance)
    for flat in (torch.randn(1, 8, 1, 1), torch.full((1, 8, 3, 3), 2.0)):
        x = flat.double().requires_grad_()
        y = module(x)
        y.sum().backward()
        torch.testing.assert_close(y, x * torch.sigmoid(module.bias)[:, None, None])
        assert x.grad.isfinite().all()


@pytest.mark.parametrize(("channels", "groups"), [(8, 8), (96, 32), (64, 64), (256, 64), (7, 1)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    """Where 64 does not divide the width, their greatest common divisor does."""
    assert SpatialGroupEnhance(channels).groups == groups


def test_attention_map_is_the_mean_gate() -> None:
    """The map is the mean over channels of what the input is multiplied by."""
    module = build(8, groups=4)
    x = torch.rand(2, 8, 4, 3, dtype=torch.float64) + 0.5
    torch.testing.assert_close(module.attention_map(x).spatial, (module(x) / x).mean(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 0}, "groups is 0, but must be a whole number of at least 1"),
        ({"use_sample_variance": 1}, "use_sample_variance is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"SpatialGroupEnhance: {message}"):
        SpatialGroupEnhance(64, **options)  # type: ignore[arg-type]  # what is tested

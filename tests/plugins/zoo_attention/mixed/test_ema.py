"""EfficientMultiScaleAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.mixed.ema import EfficientMultiScaleAttention

from zoo import InvalidValue


def softmax(values: list[float]) -> list[float]:
    """Return exponentials that sum to 1."""
    powers = [math.exp(v) for v in values]
    return [p / sum(powers) for p in powers]


def convolve(x: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    """Convolve (D, H, W) by 3x3 with zeros around it, tap by tap."""
    out = conv.bias.detach()[:, None, None].expand_as(x).clone()
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            for i in range(3):
                for j in range(3):
                    r, c = row + i - 1, column + j - 1
                    if 0 <= r < x.shape[1] and 0 <= c < x.shape[2]:
                        out[:, row, column] += conv.weight.detach()[:, :, i, j] @ x[:, r, c]
    return out


def by_the_paper(x: torch.Tensor, module: EfficientMultiScaleAttention) -> torch.Tensor:
    """The module for one group, (D, H, W): both branches, and the attention of each to the other."""
    weight, bias = module.strips.weight.detach()[..., 0], module.strips.bias.detach()
    rows = torch.sigmoid(weight @ x.mean(2) + bias[:, None])
    columns = torch.sigmoid(weight @ x.mean(1) + bias[:, None])
    u = torch.einsum("dhw,dh,dw->dhw", x, rows, columns)
    for d in range(len(u)):
        deviation = math.sqrt(u[d].var(correction=0).item() + 1e-5)
        normal = (u[d] - u[d].mean()) / deviation
        u[d] = normal * module.norm.weight[d].item() + module.norm.bias[d].item()
    v = convolve(x, module.conv)
    of_u = softmax(u.mean((1, 2)).tolist())
    of_v = softmax(v.mean((1, 2)).tolist())
    score = sum(w * each for w, each in zip(of_u, v, strict=True))
    score = score + sum(w * each for w, each in zip(of_v, u, strict=True))
    return x / (1 + torch.exp(-score))


def build(channels: int, groups: int) -> EfficientMultiScaleAttention:
    """Return the module in float64 with a random norm."""
    torch.manual_seed(0)
    module = EfficientMultiScaleAttention(channels, groups=groups).double()
    for parameter in module.norm.parameters():
        nn.init.normal_(parameter)
    return module


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = EfficientMultiScaleAttention(4, groups=2)
    return (
        module,
        (4, 3, 2),
        lambda x: torch.stack(
            [torch.cat([by_the_paper(g, module) for g in each.chunk(2)]) for each in x]
        ),
    )


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_follows_the_formula(groups: int) -> None:
    """The output is that of the paper's equations, group by group."""
    module = build(6, groups)
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64) * 2
    expected = [torch.cat([by_the_paper(g, module) for g in each.chunk(groups)]) for each in x]
    torch.testing.assert_close(module(x).detach(), torch.stack(expected))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = build(4, 2)
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(2, 3, 2, dtype=torch.bool)
    mask[0, 2], mask[1, 0, 1], mask[1, :, 0] = False, False, False
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize(("channels", "groups"), [(8, 8), (96, 32), (64, 32), (48, 16), (7, 1)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    """Where 32 does not divide the width, their greatest common divisor does."""
    assert EfficientMultiScaleAttention(channels).groups == groups


def test_one_position_in_one_group_of_one_channel() -> None:
    """The norm has one value: 0 and its bias come out, not a refusal and not 0/0."""
    module = build(1, 1)
    x = torch.randn(1, 1, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(module(x)[0].detach(), by_the_paper(x[0], module))


def test_attention_map_is_the_mean_gate() -> None:
    """The map is the mean over channels of what the input is multiplied by."""
    module = build(8, 4)
    x = torch.rand(2, 8, 4, 3, dtype=torch.float64) + 0.5
    torch.testing.assert_close(module.attention_map(x).spatial, (module(x) / x).mean(1))


def test_refuses_one_dimension_and_bad_groups() -> None:
    """Rows and columns need two axes; groups are counted."""
    with pytest.raises(InvalidValue, match="MultiScaleAttention: ndim is 1, but must be 2"):
        EfficientMultiScaleAttention(8, ndim=1)
    with pytest.raises(InvalidValue, match="groups is 0, but must be a whole number of at least 1"):
        EfficientMultiScaleAttention(8, groups=0)

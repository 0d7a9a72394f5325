"""ShuffleAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.mixed.shuffle import ShuffleAttention

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, module: ShuffleAttention) -> torch.Tensor:
    """Section 3 for (N, C, H, W), number by number."""
    samples, channels, _, width = x.shape
    half = channels // (2 * module.groups)
    weighed, y = torch.empty_like(x), torch.empty_like(x)
    for n in range(samples):
        for c in range(channels):
            values = x[n, c].flatten().tolist()
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / len(values)
            d = c % half
            w, b = module.channel_weight[d].item(), module.channel_bias[d].item()
            logits = [w * mean + b] * len(values)
            if c % (2 * half) >= half:
                w, b = module.spatial_weight[d].item(), module.spatial_bias[d].item()
                g, h = module.norm.weight[d].item(), module.norm.bias[d].item()
                root = math.sqrt(variance + 1e-5)
                logits = [w * (g * (v - mean) / root + h) + b for v in values]
            for i, logit in enumerate(logits):
                weighed[n, c, i // width, i % width] = values[i] / (1 + math.exp(-logit))
        for i in range(channels // 2):
            y[n, 2 * i] = weighed[n, i]
            y[n, 2 * i + 1] = weighed[n, channels // 2 + i]
    return y


def build(channels: int, **options: object) -> ShuffleAttention:
    """Return the module in float64 with random weights."""
    torch.manual_seed(0)
    module = ShuffleAttention(channels, **options).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = ShuffleAttention(8, groups=2)
    return module, (8, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize(("channels", "groups"), [(12, 1), (12, 2), (12, 3), (8, 4)])
def test_follows_the_formula(channels: int, groups: int) -> None:
    """The output is that of the paper's equations, for even and odd numbers of groups."""
    module = build(channels, groups=groups)
    assert module.groups == groups
    x = torch.randn(2, channels, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = build(4, ndim=1, groups=2)
    x = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_starts_as_one_weight_for_all() -> None:
    """Weights 0 and biases 1: every value is scaled by sigmoid(1), and the channels are shuffled."""
    x = torch.randn(2, 8, 3, 3)
    expected = x[:, [0, 4, 1, 5, 2, 6, 3, 7]] * torch.sigmoid(torch.tensor(1.0))
    torch.testing.assert_close(ShuffleAttention(8)(x), expected)


def test_has_three_parameters_for_each_group_channel() -> None:
    """There are 3 C / G parameters, as the paper counts."""
    module = ShuffleAttention(256, groups=16)
    assert sum(p.numel() for p in module.parameters()) == 3 * 256 / 16


@pytest.mark.parametrize(("channels", "groups"), [(8, 4), (96, 16), (64, 32), (256, 64), (6, 1)])
def test_groups_divide_half_the_channels(channels: int, groups: int) -> None:
    """Where 64 does not divide half the width, their greatest common divisor does."""
    assert ShuffleAttention(channels).groups == groups


def test_attention_map_is_the_mean_gate() -> None:
    """Channel weights are in the order of the input; positions have those of the second halves."""
    module = build(8, groups=2)  # halves [0 1] [2 3] and [4 5] [6 7]
    x = torch.rand(2, 8, 4, 3, dtype=torch.float64) + 0.5
    order = [0, 4, 1, 5, 2, 6, 3, 7]
    gate = torch.empty_like(x)
    gate[:, order] = module(x) / x[:, order]
    found = module.attention_map(x)
    torch.testing.assert_close(found.channel, gate.mean((2, 3)))
    torch.testing.assert_close(found.spatial, gate[:, [2, 3, 6, 7]].mean(1))


def test_refuses_odd_channels_and_bad_groups() -> None:
    """Two halves need an even width; groups are counted."""
    with pytest.raises(InvalidValue, match="ShuffleAttention: channels is 9, but must be even"):
        ShuffleAttention(9)
    with pytest.raises(InvalidValue, match="groups is 0, but must be a whole number of at least 1"):
        ShuffleAttention(8, groups=0)

"""PyramidSqueezeAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.mixed.epsa import PyramidSqueezeAttention

from zoo import InvalidValue


def convolve(x: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    """Convolve (C, H, W) in groups with zeros around it, tap by tap."""
    weight, half = conv.weight.detach(), conv.weight.shape[2] // 2
    out_width, in_width = len(weight) // conv.groups, weight.shape[1]
    out = torch.zeros(len(weight), *x.shape[1:], dtype=x.dtype)
    for o in range(len(weight)):
        start = o // out_width * in_width
        for row in range(x.shape[1]):
            for column in range(x.shape[2]):
                for i in range(-half, half + 1):
                    for j in range(-half, half + 1):
                        r, c = row + i, column + j
                        if 0 <= r < x.shape[1] and 0 <= c < x.shape[2]:
                            taps = weight[o, :, i + half, j + half]
                            out[o, row, column] += (taps * x[start : start + in_width, r, c]).sum()
    return out


def by_the_paper(x: torch.Tensor, module: PyramidSqueezeAttention) -> torch.Tensor:
    """Section 3.2 for (N, C, H, W): convolve, squeeze, weigh each size, softmax over sizes."""
    y = torch.empty_like(x)
    for n in range(len(x)):
        maps = [convolve(x[n], conv) for conv in module.convs]
        gates = []
        for each in maps:
            hidden = module.reduce.weight @ each.mean((1, 2)) + module.reduce.bias
            logits = module.expand.weight @ hidden.clamp(min=0) + module.expand.bias
            gates.append([math.exp(1 / (1 + math.exp(-v))) for v in logits.tolist()])
        parts = []
        for s, each in enumerate(maps):
            total = [sum(column) for column in zip(*gates, strict=True)]
            weights = [g / t for g, t in zip(gates[s], total, strict=True)]
            parts.append(torch.stack([f * w for f, w in zip(each, weights, strict=True)]))
        y[n] = torch.cat(parts[::-1] if module.use_reversed_order else parts)
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = PyramidSqueezeAttention(8, kernel_sizes=(3, 5), groups=(1, 4), min_hidden=2)
    return module, (8, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("use_reversed_order", [False, True])
def test_follows_the_formula(use_reversed_order: bool) -> None:
    """The output is that of the paper's equations, or in the order of the authors' code."""
    torch.manual_seed(0)
    module = PyramidSqueezeAttention(
        8,
        kernel_sizes=(3, 5),
        groups=(1, 4),
        reduction=2,
        min_hidden=1,
        use_reversed_order=use_reversed_order,
    ).double()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64) * 3
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = PyramidSqueezeAttention(4, ndim=1, kernel_sizes=[1, 3], groups=[1, 2]).double()
    x = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_its_parameters_are_registered() -> None:
    """The convolutions are not lost in a plain list: 4 sizes, and the gate's two layers."""
    module = PyramidSqueezeAttention(64)
    convs = 64 * 16 * (9 / 1 + 25 / 4 + 49 / 8 + 81 / 16)
    assert sum(p.numel() for p in module.parameters()) == convs + 2 * 16 * 8 + 16 + 8


@pytest.mark.parametrize(
    ("channels", "groups"), [(8, [1, 2, 2, 2]), (64, [1, 4, 8, 16]), (96, [1, 4, 8, 8])]
)
def test_groups_divide_the_width(channels: int, groups: list[int]) -> None:
    """Where a number of groups does not divide C / 4, their greatest common divisor does."""
    assert [conv.groups for conv in PyramidSqueezeAttention(channels).convs] == groups


def test_weights_of_the_sizes_sum_to_one() -> None:
    """The sizes compete for each channel."""
    weights = PyramidSqueezeAttention(16).attention_map(torch.randn(2, 16, 4, 4)).channel
    torch.testing.assert_close(weights.reshape(2, 4, 4).sum(1), torch.ones(2, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_sizes": (3, 4, 5, 7)}, "a value of kernel_sizes is 4, but must be an odd whole"),
        ({"groups": (1, 1, 1, 0)}, "a value of groups is 0, but must be a whole number"),
        ({"groups": (1, 4)}, "4 kernel_sizes, 2 groups: one for each"),
        ({"kernel_sizes": (), "groups": ()}, "0 kernel_sizes, 0 groups: one for each"),
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"min_hidden": 1.5}, "min_hidden is 1.5, but must be a whole number"),
        ({"use_reversed_order": 0}, "use_reversed_order is 0, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"PyramidSqueezeAttention: {message}"):
        PyramidSqueezeAttention(64, **options)  # type: ignore[arg-type]  # what is tested


def test_refuses_channels_that_do_not_divide() -> None:
    """The message names the number of kernels."""
    with pytest.raises(InvalidValue, match="channels is 10, but must be a multiple of 4"):
        PyramidSqueezeAttention(10)

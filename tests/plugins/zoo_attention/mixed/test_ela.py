"""EfficientLocalAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.mixed.ela import EfficientLocalAttention

from zoo import InvalidValue


def gate(strips: torch.Tensor, conv: nn.Conv1d, norm: nn.GroupNorm) -> torch.Tensor:
    """Convolve (C, L) in groups with zeros around it, norm in groups, squash, number by number."""
    channels, length = strips.shape
    width, half = conv.weight.shape[1], conv.weight.shape[2] // 2
    out = torch.zeros_like(strips)
    for c in range(channels):
        for at in range(length):
            for d in range(width):
                for tap in range(-half, half + 1):
                    if 0 <= at + tap < length:
                        weight = conv.weight[c, d, tap + half].item()
                        out[c, at] += weight * strips[c // width * width + d, at + tap]
    size = channels // norm.num_groups
    for group in out.split(size):
        values = group.flatten().tolist()
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        group.sub_(mean).div_(math.sqrt(variance + norm.eps))
    out = out * norm.weight.detach()[:, None] + norm.bias.detach()[:, None]
    return 1 / (1 + torch.exp(-out))


def by_the_paper(x: torch.Tensor, module: EfficientLocalAttention) -> torch.Tensor:
    """Means of strips, their gates, and the product, strip by strip."""
    y = torch.empty_like(x)
    for n in range(len(x)):
        rows = gate(x[n].sum(2) / x.shape[3], module.convs[0], module.norms[0])
        columns = gate(x[n].sum(1) / x.shape[2], module.convs[-1], module.norms[-1])
        y[n] = torch.einsum("chw,ch,cw->chw", x[n], rows, columns)
    return y


def build(channels: int, **options: object) -> EfficientLocalAttention:
    """Return the module in float64 with random norms."""
    torch.manual_seed(0)
    module = EfficientLocalAttention(channels, **options).double()
    for parameter in module.norms.parameters():
        nn.init.normal_(parameter)
    return module


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = EfficientLocalAttention(4, norm_groups=2, kernel_size=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize(
    "options",
    [
        {"norm_groups": 3},
        {"norm_groups": 1, "kernel_size": 3},
        {"norm_groups": 2, "channels_per_conv_group": 2},
        {"norm_groups": 2, "use_shared_layers": False},
    ],
)
def test_follows_the_formula(options: dict[str, object]) -> None:
    """The output is that of the paper's equations, for each kind of option."""
    module = build(6, **options)
    x = torch.randn(2, 6, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = build(4, norm_groups=2, kernel_size=3)
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(2, 3, 2, dtype=torch.bool)
    mask[0, 2], mask[1, 0, 1], mask[1, :, 0] = False, False, False
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_equals_timm_with_its_options_set() -> None:
    """The class of timm, told to leave out its SiLU and to norm in 16 groups, gives the same numbers."""
    coord_attn = pytest.importorskip("timm.layers.coord_attn")
    theirs = coord_attn.EfficientLocalAttn(
        32, act_layer=nn.Identity, norm_layer=lambda channels, **_: nn.GroupNorm(16, channels)
    )
    ours = EfficientLocalAttention(32, use_shared_layers=False)
    for norm in (theirs.norm_h, theirs.norm_w):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    with torch.no_grad():
        ours.convs[0].weight.copy_(theirs.conv_h.weight[..., 0])
        ours.convs[1].weight.copy_(theirs.conv_w.weight[:, :, 0])
    ours.norms[0].load_state_dict(theirs.norm_h.state_dict())
    ours.norms[1].load_state_dict(theirs.norm_w.state_dict())
    x = torch.randn(2, 32, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("channels", "conv_groups", "norm_groups"), [(8, 1, 8), (96, 12, 16)])
def test_groups_divide_the_channels(channels: int, conv_groups: int, norm_groups: int) -> None:
    """Where a number does not divide the width, its greatest common divisor with it does."""
    module = EfficientLocalAttention(channels, channels_per_conv_group=8)
    assert module.convs[0].groups == conv_groups
    assert module.norms[0].num_groups == norm_groups


def test_attention_map_is_the_mean_gate() -> None:
    """The map is the mean over channels of what the input is multiplied by."""
    module = build(8)
    x = torch.rand(2, 8, 4, 3, dtype=torch.float64) + 0.5
    torch.testing.assert_close(module.attention_map(x).spatial, (module(x) / x).mean(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ndim": 1}, "ndim is 1, but must be 2"),
        ({"kernel_size": 4}, "kernel_size is 4, but must be an odd whole number"),
        (
            {"channels_per_conv_group": 0},
            "channels_per_conv_group is 0, but must be a whole number",
        ),
        ({"norm_groups": 0}, "norm_groups is 0, but must be a whole number"),
        ({"use_shared_layers": 1}, "use_shared_layers is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"EfficientLocalAttention: {message}"):
        EfficientLocalAttention(64, **options)  # type: ignore[arg-type]  # what is tested

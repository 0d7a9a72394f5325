"""SplitAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.branch.split import SplitAttention

from zoo import InvalidValue


def normal(values: torch.Tensor, norm: torch.nn.Module) -> torch.Tensor:
    """A batch norm in eval mode and a ReLU, of (C, ...)."""
    axes = (..., *[None] * (values.ndim - 1))
    out = (values - norm.running_mean[axes]) / (norm.running_var[axes] + norm.eps).sqrt()
    return (out * norm.weight[axes] + norm.bias[axes]).clamp(min=0)


def grouped(weight: torch.Tensor, values: torch.Tensor, groups: int) -> torch.Tensor:
    """The product of (out, in / groups) with (in), each group of outputs with its group of inputs."""
    parts = zip(weight.chunk(groups), values.chunk(groups), strict=True)
    return torch.cat([torch.einsum("oi,i->o", part, read) for part, read in parts])


def by_the_paper(x: torch.Tensor, module: SplitAttention, radix: int, groups: int) -> torch.Tensor:
    """Section 3.1 of the paper for (N, C, L), position by position."""
    samples, channels, length = x.shape
    choice, half = module.choice, module.conv.weight.shape[2] // 2
    y = torch.zeros_like(x)
    for n in range(samples):
        u = torch.zeros(radix * channels, length, dtype=x.dtype)
        for place in range(length):
            for i in range(-half, half + 1):
                if 0 <= place + i < length:
                    weight = module.conv.weight[..., i + half]
                    u[:, place] += grouped(weight, x[n, :, place + i], radix * groups)
        splits = normal(u, module.norm).reshape(radix, channels, length)
        s = torch.einsum("rcl->c", splits) / length
        z = grouped(choice.reduce.weight[..., 0], s, groups) + choice.reduce.bias
        z = normal(z, choice.norm)
        scores = grouped(choice.expand.weight[..., 0], z, groups) + choice.expand.bias
        width = channels // groups
        for c in range(channels):
            of_splits = [
                math.exp(scores[c // width * radix * width + r * width + c % width])
                for r in range(radix)
            ]
            total = sum(of_splits) if radix > 1 else 1 + of_splits[0]
            for r in range(radix):
                y[n, c] += of_splits[r] / total * splits[r, c]
    return y


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    """Return the module in float64 and eval mode, with random norms."""
    torch.manual_seed(0)
    for each in module.modules():
        if isinstance(each, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(each.weight)
            torch.nn.init.normal_(each.bias)
            torch.nn.init.normal_(each.running_mean)
            torch.nn.init.uniform_(each.running_var, 0.5, 2)
    return module.double().eval()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = SplitAttention(4, ndim=1, min_hidden=4)
    return module, (4, 5), lambda x: by_the_paper(x, module, 2, 1)


@torch.no_grad()
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize(("radix", "groups"), [(2, 1), (1, 1), (2, 2), (3, 2), (1, 2)])
def test_follows_the_formula(radix: int, groups: int, kernel_size: int) -> None:
    """The output is that of the paper's equations, with a sigmoid where there is one split."""
    sizes = {"radix": radix, "groups": groups, "kernel_size": kernel_size}
    module = randomised(SplitAttention(12, ndim=1, min_hidden=4, **sizes))
    x = torch.randn(2, 12, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x), by_the_paper(x, module, radix, groups))


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L) with the middle row of its kernel."""
    line = randomised(SplitAttention(8, ndim=1))
    plane = randomised(SplitAttention(8))
    state = line.state_dict()
    state["conv.weight"] = torch.nn.functional.pad(state["conv.weight"].unsqueeze(2), (0, 0, 1, 1))
    plane.load_state_dict(state)
    x = torch.randn(2, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


@pytest.mark.parametrize("is_training", [False, True])
def test_gradient_is_that_of_differences(is_training: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = randomised(SplitAttention(2, ndim=1, min_hidden=3)).train(is_training)
    x = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 4, [True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize(("radix", "groups"), [(2, 1), (1, 1), (2, 4), (4, 2)])
def test_equals_timm(radix: int, groups: int, is_training: bool) -> None:
    """With the same weights it gives the numbers of timm's SplitAttn."""
    layers = pytest.importorskip("timm.layers")
    theirs = layers.SplitAttn(64, radix=radix, groups=groups, norm_layer=torch.nn.BatchNorm2d)
    ours = SplitAttention(64, radix=radix, groups=groups)
    state = {"conv.weight": theirs.conv.weight}
    for name, layer in (("reduce", theirs.fc1), ("expand", theirs.fc2)):
        state[f"choice.{name}.weight"] = layer.weight[..., 0]
        state[f"choice.{name}.bias"] = layer.bias
    state |= {f"norm.{name}": value for name, value in theirs.bn0.state_dict().items()}
    state |= {f"choice.norm.{name}": value for name, value in theirs.bn1.state_dict().items()}
    ours.load_state_dict(state)
    x = torch.randn(2, 64, 6, 5)
    torch.testing.assert_close(ours.train(is_training)(x), theirs.train(is_training)(x))


@pytest.mark.parametrize(
    ("channels", "options", "width"),
    [(8, {}, 32), (64, {}, 32), (128, {}, 64), (96, {"groups": 3}, 48), (12, {"groups": 3}, 33)],
)
def test_hidden_width_has_a_floor(channels: int, options: dict[str, int], width: int) -> None:
    """The hidden layer is R C // 4 wide, at least 32, and a multiple of the groups."""
    assert SplitAttention(channels, **options).choice.reduce.out_channels == width


def test_attention_map_is_the_weight_of_the_last_split() -> None:
    """With two splits the output is their mean, weighed by the map and what it leaves."""
    module = SplitAttention(8).eval()
    x = torch.randn(2, 8, 4, 3)
    first, last = module._splits(x, None)
    share = module.attention_map(x).channel[..., None, None]
    torch.testing.assert_close(module(x), first + share * (last - first))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radix": 0}, "radix is 0, but must be a whole number"),
        ({"groups": 0}, "groups is 0, but must be a whole number"),
        ({"kernel_size": 4}, "kernel_size is 4, but must be an odd whole number"),
        ({"reduction": 0.5}, "reduction is 0.5, but must be a whole number"),
        ({"min_hidden": None}, "min_hidden is None, but must be a whole number"),
        ({"radix": 3, "groups": 5}, "channels is 64, but must be a multiple of 15, radix times"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"SplitAttention: {message}"):
        SplitAttention(64, **options)  # type: ignore[arg-type]  # what is tested

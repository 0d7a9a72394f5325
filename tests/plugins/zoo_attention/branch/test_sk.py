"""SelectiveKernel against its formula in loops, and against timm's."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from zoo_attention.branch.sk import SelectiveKernel

from zoo import InvalidValue


def normal(values: torch.Tensor, norm: torch.nn.Module) -> torch.Tensor:
    """A batch norm in eval mode and a ReLU, of (C, ...)."""
    axes = (..., *[None] * (values.ndim - 1))
    out = (values - norm.running_mean[axes]) / (norm.running_var[axes] + norm.eps).sqrt()
    return (out * norm.weight[axes] + norm.bias[axes]).clamp(min=0)


def by_the_paper(x: torch.Tensor, module: SelectiveKernel, dilations: list[int]) -> torch.Tensor:
    """Equations 1 to 6 of the paper, for (N, C, L), position by position."""
    samples, channels, length = x.shape
    choice = module.choice
    y = torch.zeros_like(x)
    for n in range(samples):
        maps = []
        for conv, norm, dilation in zip(module.convs, module.norms, dilations, strict=True):
            u = torch.zeros(channels, length, dtype=x.dtype)
            out_width, in_width = channels // conv.groups, conv.weight.shape[1]
            half = conv.weight.shape[2] // 2
            for c, place, i in product(range(channels), range(length), range(-half, half + 1)):
                first, at = c // out_width * in_width, place + i * dilation
                if 0 <= at < length:
                    u[c, place] += conv.weight[c, :, i + half] @ x[n, first : first + in_width, at]
            maps.append(normal(u, norm))
        s = torch.stack([sum(u[c].sum() for u in maps) / length for c in range(channels)])
        z = normal(torch.einsum("dc,c->d", choice.reduce.weight[..., 0], s), choice.norm)
        scores = torch.einsum("ed,d->e", choice.expand.weight[..., 0], z).reshape(len(maps), -1)
        for c in range(channels):
            total = sum(math.exp(score) for score in scores[:, c])
            for m, u in enumerate(maps):
                y[n, c] += math.exp(scores[m, c]) / total * u[c]
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
    module = SelectiveKernel(4, ndim=1, groups=2, min_hidden=3)
    return module, (4, 5), lambda x: by_the_paper(x, module, [1, 2])


@torch.no_grad()
@pytest.mark.parametrize(
    ("options", "dilations"),
    [({}, [1, 2]), ({"use_dilation": False}, [1, 1]), ({"num_paths": 3, "groups": 1}, [1, 2, 3])],
)
def test_follows_the_formula(options: dict[str, object], dilations: list[int]) -> None:
    """The output is that of the paper's equations, with each option that changes them."""
    module = randomised(SelectiveKernel(4, ndim=1, **{"groups": 2, "min_hidden": 3, **options}))
    x = torch.randn(2, 4, 7, dtype=torch.float64)
    torch.testing.assert_close(module(x), by_the_paper(x, module, dilations))


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L) with the middle row of its kernels."""
    line = randomised(SelectiveKernel(8, ndim=1))
    plane = randomised(SelectiveKernel(8))
    state = line.state_dict()
    for name in ("convs.0.weight", "convs.1.weight"):
        state[name] = torch.nn.functional.pad(state[name].unsqueeze(2), (0, 0, 1, 1))
    plane.load_state_dict(state)
    x = torch.randn(2, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


@pytest.mark.parametrize("is_training", [False, True])
def test_gradient_is_that_of_differences(is_training: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = randomised(SelectiveKernel(2, ndim=1, min_hidden=3)).train(is_training)
    x = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 4, [True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("use_dilation", [False, True])
def test_equals_timm(use_dilation: bool, is_training: bool) -> None:
    """With the same weights it gives the numbers of timm's SelectiveKernel, which is not split."""
    layers = pytest.importorskip("timm.layers")
    theirs = layers.SelectiveKernel(
        64, groups=32, rd_channels=32, split_input=False, keep_3x3=use_dilation
    )
    ours = SelectiveKernel(64, use_dilation=use_dilation)
    state = {
        "choice.reduce.weight": theirs.attn.fc_reduce.weight[..., 0],
        "choice.expand.weight": theirs.attn.fc_select.weight[..., 0],
    }
    state |= {f"choice.norm.{name}": value for name, value in theirs.attn.bn.state_dict().items()}
    for m, path in enumerate(theirs.paths):
        state[f"convs.{m}.weight"] = path.conv.weight
        state |= {f"norms.{m}.{name}": value for name, value in path.bn.state_dict().items()}
    ours.load_state_dict(state)
    x = torch.randn(2, 64, 6, 5)
    torch.testing.assert_close(ours.train(is_training)(x), theirs.train(is_training)(x))


@pytest.mark.parametrize(("channels", "width"), [(8, 32), (512, 32), (1024, 64)])
def test_hidden_width_has_the_papers_floor(channels: int, width: int) -> None:
    """The hidden layer is C // 16 wide, and never narrower than L, which timm leaves out."""
    assert SelectiveKernel(channels).choice.reduce.out_channels == width


def test_norms_learn_from_real_positions_only() -> None:
    """In training, padding changes neither the output nor the running statistics."""
    torch.manual_seed(0)
    module, other = SelectiveKernel(8, ndim=1), SelectiveKernel(8, ndim=1)
    other.load_state_dict(module.state_dict())
    x = torch.randn(2, 8, 5)
    padded = torch.cat([x, torch.full((2, 8, 4), float("nan"))], 2)
    mask = (torch.arange(9) < 5).expand(2, 9)
    torch.testing.assert_close(other(padded, mask)[..., :5], module(x))
    torch.testing.assert_close(other.state_dict(), module.state_dict())
    assert module.norms[0].num_batches_tracked == 1


def test_attention_map_is_the_weight_of_the_largest_kernel() -> None:
    """With two kernels the output is their mean, weighed by the map and what it leaves."""
    module = SelectiveKernel(8).eval()
    x = torch.randn(2, 8, 4, 3)
    small, large = module._maps(x, None)
    share = module.attention_map(x).channel[..., None, None]
    torch.testing.assert_close(module(x), small + share * (large - small))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_paths": 1}, "num_paths is 1, but must be a whole number of at least 2"),
        ({"groups": 0}, "groups is 0, but must be a whole number"),
        ({"reduction": 0.5}, "reduction is 0.5, but must be a whole number"),
        ({"min_hidden": None}, "min_hidden is None, but must be a whole number"),
        ({"use_dilation": 1}, "use_dilation is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"SelectiveKernel: {message}"):
        SelectiveKernel(64, **options)  # type: ignore[arg-type]  # what is tested

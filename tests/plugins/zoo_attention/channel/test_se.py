"""SqueezeExcite against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.channel.se import SqueezeExcite

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Squeeze (equation 2), excite (3) and scale (4), number by number."""
    samples, channels, height, width = x.shape
    y = torch.empty_like(x)
    for n in range(samples):
        z = [sum(v.item() for v in x[n, c].flatten()) / (height * width) for c in range(channels)]
        hidden = [max(0.0, sum(w.item() * v for w, v in zip(row, z, strict=True))) for row in first]
        for c in range(channels):
            logit = sum(w.item() * v for w, v in zip(second[c], hidden, strict=True))
            y[n, c] = x[n, c] / (1 + math.exp(-logit))
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = SqueezeExcite(6, reduction=2, min_hidden=1)
    return module, (6, 3, 2), lambda x: by_the_paper(x, module.reduce.weight, module.expand.weight)


def test_follows_the_formula() -> None:
    """The output is that of the paper's equations."""
    torch.manual_seed(0)
    module = SqueezeExcite(6, reduction=2, min_hidden=1).double()
    x = torch.randn(2, 6, 3, 2, dtype=torch.float64)
    expected = by_the_paper(x, module.reduce.weight.detach(), module.expand.weight.detach())
    torch.testing.assert_close(module(x).detach(), expected)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = SqueezeExcite(3, ndim=1, use_bias=True).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize("use_bias", [False, True])
def test_equals_timm(use_bias: bool) -> None:
    """With the same weights it gives the numbers of timm's SqueezeExcite."""
    layers = pytest.importorskip("timm.layers")
    theirs = layers.SqueezeExcite(32, rd_ratio=1 / 4, bias=use_bias)
    ours = SqueezeExcite(32, reduction=4, use_bias=use_bias)
    state = {
        "reduce.weight": theirs.fc1.weight[..., 0, 0],
        "expand.weight": theirs.fc2.weight[..., 0, 0],
    }
    if use_bias:
        state |= {"reduce.bias": theirs.fc1.bias, "expand.bias": theirs.fc2.bias}
    ours.load_state_dict(state)
    x = torch.randn(2, 32, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("channels", "options", "width"),
    [
        (8, {}, 8),
        (64, {}, 8),
        (256, {}, 16),
        (64, {"reduction": 4}, 16),
        (64, {"min_hidden": 1}, 4),
    ],
)
def test_hidden_width_has_a_floor(channels: int, options: dict[str, int], width: int) -> None:
    """The hidden layer is C // reduction wide, and never narrower than the floor."""
    assert SqueezeExcite(channels, **options).reduce.out_features == width


def test_attention_map_is_the_gate() -> None:
    """The output is the input times the map."""
    module = SqueezeExcite(8)
    x = torch.randn(2, 8, 4, 3)
    torch.testing.assert_close(module(x), x * module.attention_map(x).channel[..., None, None])


@pytest.mark.parametrize("reduction", [0, -1, 4.0, True, "4"])
def test_refuses_a_bad_reduction(reduction: object) -> None:
    """A reduction is a whole number from 1."""
    with pytest.raises(InvalidValue, match=r"SqueezeExcite: reduction is .* at least 1"):
        SqueezeExcite(64, reduction=reduction)  # type: ignore[arg-type]  # what is tested


def test_refuses_a_bad_floor_and_flag() -> None:
    """The other options are checked, too."""
    with pytest.raises(InvalidValue, match="min_hidden is 0, but must be a whole number"):
        SqueezeExcite(64, min_hidden=0)
    with pytest.raises(InvalidValue, match="use_bias is 1, but must be True or False"):
        SqueezeExcite(64, use_bias=1)  # type: ignore[arg-type]  # what is tested

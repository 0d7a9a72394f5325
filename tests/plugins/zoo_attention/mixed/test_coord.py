"""CoordinateAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.mixed.coord import CoordinateAttention

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, module: CoordinateAttention) -> torch.Tensor:
    """Equations 4 to 9 in eval mode, strip by strip."""
    norm = module.norm
    layers = [module.reduce, module.expand_rows, module.expand_columns]
    weights = [layer.weight.detach()[..., 0] for layer in layers]
    biases = [0.0 if layer.bias is None else layer.bias.detach() for layer in layers]

    def hidden(strip: torch.Tensor) -> torch.Tensor:
        v = weights[0] @ (strip.sum(1) / strip.shape[1]) + biases[0]
        v = (v - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        return torch.tensor([u * min(max(u + 3, 0), 6) / 6 for u in v.tolist()], dtype=x.dtype)

    y = torch.empty_like(x)
    for n in range(x.shape[0]):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                g = weights[1] @ hidden(x[n, :, i]) + biases[1]
                k = weights[2] @ hidden(x[n, :, :, j]) + biases[2]
                for c in range(x.shape[1]):
                    gate = 1 / (1 + math.exp(-g[c])) / (1 + math.exp(-k[c]))
                    y[n, c, i, j] = x[n, c, i, j] * gate
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = CoordinateAttention(4, min_hidden=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("use_bias", [False, True])
def test_follows_the_formula(use_bias: bool) -> None:
    """The output is that of the paper's equations."""
    torch.manual_seed(0)
    module = CoordinateAttention(5, min_hidden=3, use_bias=use_bias).double().eval()
    for value in module.norm.state_dict().values():
        value.copy_(torch.rand(value.shape) + 0.5)
    x = torch.randn(2, 5, 4, 3, dtype=torch.float64) * 3
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_gradient_is_that_of_differences() -> None:
    """In training, gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = CoordinateAttention(2, min_hidden=2, use_bias=True).double()
    x = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(2, 3, 2, dtype=torch.bool)
    mask[0, 2], mask[1, 0, 1], mask[1, :, 0] = False, False, False
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_equals_timm(use_bias: bool, is_training: bool) -> None:
    """With the same weights it gives the numbers of timm's CoordAttn."""
    coord_attn = pytest.importorskip("timm.layers.coord_attn")
    theirs = coord_attn.CoordAttn(16, rd_channels=8, bias=use_bias).train(is_training)
    ours = CoordinateAttention(16, use_bias=use_bias).train(is_training)
    names = {
        "reduce": theirs.conv1,
        "norm": theirs.bn1,
        "expand_rows": theirs.conv_h,
        "expand_columns": theirs.conv_w,
    }
    ours.load_state_dict(
        {
            f"{name}.{key}": value[..., 0] if value.ndim == 4 else value
            for name, layer in names.items()
            for key, value in layer.state_dict().items()
        }
    )
    x = torch.randn(2, 16, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.norm.state_dict(), theirs.bn1.state_dict())


@pytest.mark.parametrize(
    ("channels", "options", "width"),
    [(8, {}, 8), (512, {}, 16), (64, {"reduction": 4}, 16), (64, {"min_hidden": 1}, 2)],
)
def test_hidden_width_has_a_floor(channels: int, options: dict[str, int], width: int) -> None:
    """The hidden layer is C // reduction wide, and never narrower than the floor."""
    assert CoordinateAttention(channels, **options).reduce.out_channels == width


def test_padding_teaches_the_norm_nothing() -> None:
    """In training, padding changes neither output nor running statistics."""
    torch.manual_seed(0)
    module, other = CoordinateAttention(8), CoordinateAttention(8)
    other.load_state_dict(module.state_dict())
    x = torch.randn(2, 8, 3, 4)
    padded = torch.full((2, 8, 5, 6), 9.0)
    padded[..., :3, :4] = x
    mask = torch.zeros(2, 5, 6, dtype=torch.bool)
    mask[:, :3, :4] = True
    torch.testing.assert_close(other(padded, mask)[..., :3, :4], module(x))
    torch.testing.assert_close(other.norm.state_dict(), module.norm.state_dict())


def test_gates_pass_one_half_both_ways() -> None:
    """The gates are sigmoids: there are weights above and below 1/2, and none outside 0 and 1."""
    torch.manual_seed(0)
    found = CoordinateAttention(8).attention_map(torch.randn(4, 8, 9, 9) * 10).spatial
    assert 0 < found.min() < 0.25 < found.max() < 1


def test_attention_map_is_the_mean_gate() -> None:
    """The map is the mean over channels of what the input is multiplied by."""
    module = CoordinateAttention(8).eval()
    x = torch.rand(2, 8, 4, 3) + 0.5
    torch.testing.assert_close(module.attention_map(x).spatial, (module(x) / x).mean(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ndim": 1}, "ndim is 1, but must be 2"),
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"min_hidden": 1.5}, "min_hidden is 1.5, but must be a whole number"),
        ({"use_bias": None}, "use_bias is None, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"CoordinateAttention: {message}"):
        CoordinateAttention(64, **options)  # type: ignore[arg-type]  # what is tested

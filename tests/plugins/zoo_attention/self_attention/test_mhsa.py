"""MultiHeadSelfAttention against its formula in loops, torch's own module and timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.mhsa import MultiHeadSelfAttention
from zoo_attention.self_attention.positions import sine_positions

from zoo import InvalidValue


def weights_by_the_paper(
    x: torch.Tensor, module: MultiHeadSelfAttention
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights (N, heads, L, L) and the values (N, heads, L, d) of x (N, C, L)."""
    samples, channels, length = x.shape
    heads = module.num_heads
    width = channels // heads
    query_map, key_map, value_map = module.project.weight.detach().split(channels)
    weights = torch.empty(samples, heads, length, length, dtype=x.dtype)
    values = torch.empty(samples, heads, length, width, dtype=x.dtype)
    for n in range(samples):
        for head in range(heads):
            rows = slice(head * width, (head + 1) * width)
            query, key, value = (m[rows] @ x[n] for m in (query_map, key_map, value_map))  # (d, L)
            values[n, head] = value.T
            for i in range(length):
                scores = [
                    (query[:, i] @ key[:, j]).item() / math.sqrt(width) for j in range(length)
                ]
                total = sum(math.exp(score) for score in scores)
                for j in range(length):
                    weights[n, head, i, j] = math.exp(scores[j]) / total
    return weights, values


def by_the_paper(x: torch.Tensor, module: MultiHeadSelfAttention) -> torch.Tensor:
    """Return the attention of section 3.2 and the residual connection of section 3.1."""
    read = x + sine_positions(x) if module.positions == "sine" else x
    weights, values = weights_by_the_paper(read.flatten(2), module)
    heads = torch.einsum("nhij,nhjd->nhdi", weights, values).flatten(1, 2)  # (N, C, L)
    merged = torch.einsum("dc,ncl->ndl", module.merge.weight.detach(), heads).reshape(x.shape)
    return x + merged if module.use_residual else merged


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = MultiHeadSelfAttention(4, num_heads=2)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("size", [(3, 2), (5,)])
@pytest.mark.parametrize("positions", ["none", "sine"])
@pytest.mark.parametrize("use_residual", [False, True])
def test_follows_the_formula(size: tuple[int, ...], positions: str, use_residual: bool) -> None:
    """The output is that of the paper's equations."""
    torch.manual_seed(0)
    module = MultiHeadSelfAttention(
        6, ndim=len(size), num_heads=2, positions=positions, use_residual=use_residual
    ).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


@pytest.mark.parametrize("positions", ["none", "sine"])
def test_gradient_is_that_of_differences(positions: str) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = MultiHeadSelfAttention(4, ndim=1, num_heads=2, positions=positions).double()
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize("use_bias", [False, True])
def test_equals_torch(use_bias: bool) -> None:
    """With the same weights it gives the numbers of torch's MultiheadAttention, mask included."""
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(16, 4, bias=use_bias, batch_first=True).eval()
    ours = MultiHeadSelfAttention(16, ndim=1, use_bias=use_bias, use_residual=False)
    with torch.no_grad():
        ours.project.weight.copy_(theirs.in_proj_weight)
        ours.merge.weight.copy_(theirs.out_proj.weight)
        if use_bias:
            ours.project.bias.copy_(theirs.in_proj_bias.normal_())
            ours.merge.bias.copy_(theirs.out_proj.bias.normal_())
    x = torch.randn(2, 16, 7)
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    tokens = x.transpose(1, 2)
    expected, _ = theirs(tokens, tokens, tokens, key_padding_mask=~mask)
    found = ours(x, mask).transpose(1, 2)
    torch.testing.assert_close(found[mask], expected[mask])


def test_equals_timm() -> None:
    """With the same weights it gives the numbers of timm's Attention."""
    layers = pytest.importorskip("timm.layers")
    theirs = layers.Attention(32, num_heads=4, qkv_bias=True)
    ours = MultiHeadSelfAttention(32, use_bias=True, use_residual=False)
    ours.project.load_state_dict(theirs.qkv.state_dict())
    ours.merge.load_state_dict(theirs.proj.state_dict())
    x = torch.randn(2, 32, 3, 5)
    expected = theirs(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(ours(x), expected)


def test_without_positions_order_does_not_matter() -> None:
    """Shuffled positions give the shuffled output; with sine positions they do not."""
    torch.manual_seed(0)
    x = torch.randn(1, 8, 6)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    plain = MultiHeadSelfAttention(8, ndim=1)
    torch.testing.assert_close(plain(x[..., order]), plain(x)[..., order])
    sine = MultiHeadSelfAttention(8, ndim=1, positions="sine")
    assert not torch.allclose(sine(x[..., order]), sine(x)[..., order], atol=1e-3)


@pytest.mark.parametrize("positions", ["none", "sine"])
@pytest.mark.parametrize("size", [(3, 4), (7,)])
def test_attention_map_is_what_positions_receive(size: tuple[int, ...], positions: str) -> None:
    """The map is the paper's weights, averaged over heads and queries."""
    torch.manual_seed(0)
    module = MultiHeadSelfAttention(8, ndim=len(size), positions=positions).double()
    x = torch.randn(2, 8, *size, dtype=torch.float64)
    read = x + sine_positions(x) if positions == "sine" else x
    weights, _ = weights_by_the_paper(read.flatten(2), module)
    expected = weights.mean((1, 2)).reshape(2, *size)
    torch.testing.assert_close(module.attention_map(x).spatial.detach(), expected)


@pytest.mark.parametrize("ndim", [1, 2])
def test_sine_positions_stand_padding_and_export(ndim: int) -> None:
    """With sine positions, too, padding at the end changes nothing and one program serves all sizes."""
    torch.manual_seed(0)
    module = MultiHeadSelfAttention(8, ndim=ndim, positions="sine").eval()
    size, wider = (4, 3)[:ndim], (6, 5)[:ndim]
    x = torch.randn(2, 8, *size)
    window = tuple(slice(side) for side in size)
    padded, mask = torch.full((2, 8, *wider), 7.0), torch.zeros(2, *wider, dtype=torch.bool)
    padded[(..., *window)], mask[(..., *window)] = x, True
    torch.testing.assert_close(module(padded, mask)[(..., *window)], module(x))
    axes = dict.fromkeys((0, *range(2, ndim + 2)), torch.export.Dim.DYNAMIC)
    shapes = {"x": axes, "mask": {axis - (axis > 0): dim for axis, dim in axes.items()}}
    program = torch.export.export(module, (padded, mask), dynamic_shapes=shapes).module()
    torch.testing.assert_close(program(x, mask[(..., *window)]), module(x))


def test_channels_must_split_into_heads() -> None:
    """The message says which numbers of heads fit."""
    message = r"channels is 30, no multiple of num_heads 4\. Choose num_heads from 1, 2, 3, 5, 6"
    with pytest.raises(InvalidValue, match=message):
        MultiHeadSelfAttention(30)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "num_heads is 0, but must be a whole number of at least 1"),
        ({"num_heads": 2.0}, "num_heads is 2.0, but must be a whole number"),
        ({"positions": "sin"}, "positions is 'sin', but must be one of 'none', 'sine'"),
        ({"positions": True}, "positions is True, but must be one of 'none', 'sine'"),
        ({"use_residual": 1}, "use_residual is 1, but must be True or False"),
        ({"use_bias": "no"}, "use_bias is 'no', but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"MultiHeadSelfAttention: {message}"):
        MultiHeadSelfAttention(16, **options)  # type: ignore[arg-type]  # what is tested


def test_keeps_the_dtype_without_residual_under_autocast() -> None:
    """What autocast computes in bfloat16 comes out in the dtype of the input."""
    module = MultiHeadSelfAttention(8, ndim=1, use_residual=False)
    with torch.autocast("cpu", torch.bfloat16):
        assert module(torch.randn(1, 8, 4)).dtype == torch.float32

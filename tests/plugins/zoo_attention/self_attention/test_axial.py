"""AxialAttention against its formula in loops, and against plain self-attention on lines."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.axial import AxialAttention
from zoo_attention.self_attention.mhsa import MultiHeadSelfAttention
from zoo_attention.self_attention.positions import sine_positions

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module.double()


def by_the_paper(x: torch.Tensor, module: AxialAttention) -> tuple[torch.Tensor, torch.Tensor]:
    """For x (N, C, H, W), position by position: the output, and how much each is read."""
    samples, channels, *size = x.shape
    heads = module.num_heads
    width = channels // heads
    received = torch.zeros(samples, *size, dtype=x.dtype)
    places = [(r, c) for r in range(size[0]) for c in range(size[1])]
    for axis in range(2):
        read = x + sine_positions(x) if module.positions == "sine" else x
        parts = torch.einsum("dc,nchw->nhwd", module.project[axis].weight, read).split(channels, 3)
        after = torch.empty_like(x)
        for n in range(samples):
            for at in places:
                line = [other for other in places if other[1 - axis] == at[1 - axis]]
                out = torch.zeros(channels, dtype=x.dtype)
                for head in range(heads):
                    rows = slice(head * width, (head + 1) * width)
                    q, k, v = (part[n, :, :, rows] for part in parts)
                    scores = [
                        math.exp((q[at] @ k[other]).item() / math.sqrt(width)) for other in line
                    ]
                    for score, other in zip(scores, line, strict=True):
                        out[rows] += score / sum(scores) * v[other]
                        share = score / sum(scores) / heads / len(places) / 2
                        received[(n, *other)] += share
                y = module.merge[axis].weight @ out
                after[(n, slice(None), *at)] = y
        x = x + after if module.use_residual else after
    return x.detach(), received.detach()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = AxialAttention(4, num_heads=2)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)[0]


@pytest.mark.parametrize("use_residual", [False, True])
@pytest.mark.parametrize("positions", ["none", "sine"])
def test_follows_the_formula(positions: str, use_residual: bool) -> None:
    """The output and the map are those of self-attention on columns, then on rows."""
    module = liven(AxialAttention(4, num_heads=2, positions=positions, use_residual=use_residual))
    x = torch.randn(1, 4, 3, 2, dtype=torch.float64)
    expected, received = by_the_paper(x, module)
    torch.testing.assert_close(module(x).detach(), expected)
    torch.testing.assert_close(module.attention_map(x).spatial.detach(), received)


@pytest.mark.parametrize("use_bias", [False, True])
def test_on_a_line_it_is_self_attention(use_bias: bool) -> None:
    """In one dimension it gives the numbers of multi-head self-attention, mask included."""
    ours = liven(AxialAttention(8, ndim=1, use_bias=use_bias))
    plain = MultiHeadSelfAttention(8, ndim=1, num_heads=8, use_bias=use_bias).double()
    plain.project.load_state_dict(ours.project[0].state_dict())
    plain.merge.load_state_dict(ours.merge[0].state_dict())
    x = torch.randn(2, 8, 5, dtype=torch.float64)
    mask = torch.arange(5) < torch.tensor([[5], [3]])
    torch.testing.assert_close(ours(x, mask), plain(x, mask))
    found, expected = ours.attention_map(x, mask), plain.attention_map(x, mask)
    torch.testing.assert_close(found.spatial, expected.spatial)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(AxialAttention(2, num_heads=1))
    x = torch.randn(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[[True, True], [True, False]]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_channels_must_split_into_heads() -> None:
    """The message says which numbers of heads fit."""
    with pytest.raises(InvalidValue, match="AxialAttention: channels is 12, no multiple of num_h"):
        AxialAttention(12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "num_heads is 0, but must be a whole number of at least 1"),
        ({"positions": "learnt"}, "positions is 'learnt', but must be one of 'none', 'sine'"),
        ({"use_residual": 1}, "use_residual is 1, but must be True or False"),
        ({"use_bias": 0}, "use_bias is 0, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"AxialAttention: {message}"):
        AxialAttention(16, **options)  # type: ignore[arg-type]  # what is tested

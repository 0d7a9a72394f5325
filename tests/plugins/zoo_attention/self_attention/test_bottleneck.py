"""BottleneckSelfAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.bottleneck import BottleneckSelfAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def by_the_paper(
    x: torch.Tensor, module: BottleneckSelfAttention
) -> tuple[torch.Tensor, torch.Tensor]:
    """Figure 4 for x (N, C, *spatial), place by place: the output, and how much each is read."""
    samples, channels, *size = x.shape
    width = channels // module.num_heads
    far = module.size - 1
    q, k, v = torch.einsum("dc,nc...->n...d", module.project.weight, x).split(channels, -1)
    y, received = torch.zeros_like(x), torch.zeros(samples, *size, dtype=x.dtype)
    places = list(
        torch.cartesian_prod(*(torch.arange(side) for side in size)).reshape(-1, len(size))
    )
    for n in range(samples):
        for head in range(module.num_heads):
            rows = slice(head * width, (head + 1) * width)
            for i in places:
                scores = []
                for j in places:
                    r = sum(
                        table[int((b - a).clamp(-far, far)) + far]
                        for table, a, b in zip(module.offsets, i, j, strict=True)
                    )
                    query, key = q[(n, *i)][rows], k[(n, *j)][rows]
                    scores.append(math.exp(sum(query * key + query * r).item() / math.sqrt(width)))
                for score, j in zip(scores, places, strict=True):
                    share = score / sum(scores)
                    y[(n, rows, *i)] += share * v[(n, *j)][rows]
                    received[(n, *j)] += share / len(places) / module.num_heads
    return y.detach(), received


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = BottleneckSelfAttention(4, num_heads=2, size=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)[0]


@pytest.mark.parametrize(("shape", "size"), [((3, 2), 3), ((3, 2), 2), ((4,), 1), ((4,), 14)])
def test_follows_the_formula(shape: tuple[int, ...], size: int) -> None:
    """The output and the map are the paper's; beyond `size` offsets share the outermost vector."""
    module = liven(BottleneckSelfAttention(4, ndim=len(shape), num_heads=2, size=size))
    x = torch.randn(1, 4, *shape, dtype=torch.float64)
    expected, received = by_the_paper(x, module)
    torch.testing.assert_close(module(x).detach(), expected)
    torch.testing.assert_close(module.attention_map(x).spatial.detach(), received)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(BottleneckSelfAttention(2, num_heads=1, size=2))
    x = torch.randn(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[[True, True], [True, False]]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_equals_timm() -> None:
    """With the same weights it gives the numbers of timm's, where all scores are scaled."""
    timm = pytest.importorskip("timm.layers.bottleneck_attn")
    theirs = timm.BottleneckAttn(32, feat_size=(5, 3), num_heads=4, scale_pos_embed=True)
    ours = BottleneckSelfAttention(32, size=5)
    with torch.no_grad():
        ours.project.weight.copy_(theirs.qkv.weight[..., 0, 0])
        ours.offsets[0].copy_(theirs.pos_embed.height_rel.normal_())
        ours.offsets[1][2:-2].copy_(theirs.pos_embed.width_rel.normal_())
    x = torch.randn(2, 32, 5, 3)
    torch.testing.assert_close(ours(x), theirs(x))


def test_content_alone_does_not_decide() -> None:
    """Shuffled positions do not give the shuffled output."""
    module = liven(BottleneckSelfAttention(8, ndim=1))
    x = torch.randn(1, 8, 6, dtype=torch.float64)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert not torch.allclose(module(x[..., order]), module(x)[..., order], atol=1e-3)


def test_channels_must_split_into_heads() -> None:
    """The message says which numbers of heads fit."""
    with pytest.raises(InvalidValue, match="BottleneckSelfAttention: channels is 30, no multiple"):
        BottleneckSelfAttention(30)


@pytest.mark.parametrize("name", ["num_heads", "size"])
def test_refuses_bad_options(name: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"BottleneckSelfAttention: {name} is 0, but must be"):
        BottleneckSelfAttention(16, **{name: 0})

"""HaloAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.halo import HaloAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def by_the_paper(x: torch.Tensor, module: HaloAttention) -> tuple[torch.Tensor, torch.Tensor]:
    """Section 2.2 for x (N, C, *spatial), place by place: the output, and how much each is read."""
    samples, channels, *size = x.shape
    width = channels // module.num_heads
    block, halo = module.block_size, module.halo_size
    q, k, v = torch.einsum("dc,nc...->n...d", module.project.weight, x).split(channels, -1)
    y, received = torch.zeros_like(x), torch.zeros(samples, *size, dtype=x.dtype)
    grid = torch.cartesian_prod(*(torch.arange(side) for side in size)).reshape(-1, len(size))
    places = grid.tolist()
    for n in range(samples):
        for head in range(module.num_heads):
            rows = slice(head * width, (head + 1) * width)
            for i in places:
                near = [
                    j
                    for j in places
                    if all(
                        a // block * block - halo <= b < a // block * block + block + halo
                        for a, b in zip(i, j, strict=True)
                    )
                ]
                scores = []
                for j in near:
                    r = sum(
                        table[b - a + block + halo - 1]
                        for table, a, b in zip(module.offsets, i, j, strict=True)
                    )
                    query, key = q[(n, *i)][rows], k[(n, *j)][rows]
                    scores.append(math.exp(sum(query * key + query * r).item() / math.sqrt(width)))
                for score, j in zip(scores, near, strict=True):
                    share = score / sum(scores)
                    y[(n, rows, *i)] += share * v[(n, *j)][rows]
                    received[(n, *j)] += share / len(places) / module.num_heads
    return y.detach(), received


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = HaloAttention(4, num_heads=2, block_size=2, halo_size=1)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)[0]


@pytest.mark.parametrize(
    ("shape", "block", "halo"), [((3, 5), 2, 1), ((4, 2), 2, 0), ((7,), 3, 2), ((2, 1), 8, 3)]
)
def test_follows_the_formula(shape: tuple[int, ...], block: int, halo: int) -> None:
    """The output and the map are the paper's, for sizes that blocks do not fill as well."""
    module = liven(HaloAttention(4, ndim=len(shape), num_heads=2, block_size=block, halo_size=halo))
    x = torch.randn(2, 4, *shape, dtype=torch.float64)
    expected, received = by_the_paper(x, module)
    torch.testing.assert_close(module(x).detach(), expected)
    torch.testing.assert_close(module.attention_map(x).spatial.detach(), received)


@pytest.mark.parametrize("use_zero_padding", [False, True])
def test_gradient_is_that_of_differences(use_zero_padding: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(
        HaloAttention(2, num_heads=1, block_size=2, halo_size=1, use_zero_padding=use_zero_padding)
    )
    x = torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[[True, True], [True, False], [True, False]]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_equals_timm() -> None:
    """With zeros around the map read, it gives the numbers of timm's, where all scores are scaled."""
    timm = pytest.importorskip("timm.layers.halo_attn")
    theirs = timm.HaloAttn(32, num_heads=4, block_size=4, halo_size=1, scale_pos_embed=True)
    ours = HaloAttention(32, num_heads=4, block_size=4, halo_size=1, use_zero_padding=True)
    with torch.no_grad():
        key, value = theirs.kv.weight[..., 0, 0].unflatten(0, (4, 2, 8)).unbind(1)
        weights = [theirs.q.weight[..., 0, 0], key.flatten(0, 1), value.flatten(0, 1)]
        ours.project.weight.copy_(torch.cat(weights))
        for table, other in zip(
            ours.offsets, (theirs.pos_embed.height_rel, theirs.pos_embed.width_rel), strict=True
        ):
            table.copy_(other.normal_()[2:])  # offsets that no query meets come first
    x = torch.randn(2, 32, 8, 12)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("use_zero_padding", [False, True])
def test_padding_changes_nothing(use_zero_padding: bool) -> None:
    """What is masked is what lies outside the map, with zeros read there or not."""
    module = liven(HaloAttention(8, block_size=2, halo_size=1, use_zero_padding=use_zero_padding))
    x = torch.randn(2, 8, 5, 3, dtype=torch.float64)
    padded = torch.full((2, 8, 9, 6), float("nan"), dtype=torch.float64)
    padded[:, :, :5, :3] = x
    mask = padded[:, 0].isfinite()
    torch.testing.assert_close(module(padded, mask)[:, :, :5, :3], module(x))


def test_what_is_far_is_not_read() -> None:
    """A position depends on its window, and on nothing beyond."""
    module = liven(HaloAttention(8, ndim=1, block_size=2, halo_size=1))
    x = torch.randn(1, 8, 8, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(x)[..., 2].sum(), x)
    assert gradient.abs().sum((0, 1)).bool().tolist() == [False] + [True] * 4 + [False] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "num_heads is 0, but must be a whole number of at least 1"),
        ({"num_heads": 3}, "channels is 16, no multiple of num_heads 3"),
        ({"block_size": 0}, "block_size is 0, but must be a whole number of at least 1"),
        ({"halo_size": -1}, "halo_size is -1, but must be a whole number of at least 0"),
        ({"use_zero_padding": 1}, "use_zero_padding is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"HaloAttention: {message}"):
        HaloAttention(16, **options)  # type: ignore[arg-type]  # what is tested

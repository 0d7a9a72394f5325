"""AttentionPool against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional
from zoo_pooling.attention_pool import AttentionPool

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, head: AttentionPool) -> torch.Tensor:
    """Read head by head and position by position, with the table resized by torch."""
    channels, d = x.shape[1], x.shape[1] // head.num_heads
    mode = "linear" if x.ndim == 3 else "bilinear"
    table = functional.interpolate(head.positions.movedim(-1, 0)[None], x.shape[2:], mode=mode)
    samples = []
    for sample in x:
        tokens = [sample.flatten(1).sum(1) / sample[0].numel() + head.mean_position]
        tokens += list((sample + table[0]).flatten(1).T)
        query = head.query.weight @ tokens[0] + head.query.bias
        read = [head.read.weight @ t + head.read.bias for t in tokens]
        joined = []
        for h in range(head.num_heads):
            part = slice(h * d, (h + 1) * d)
            scores = [(query[part] @ r[:channels][part]).item() / math.sqrt(d) for r in read]
            total = sum(math.exp(score) for score in scores)
            weights = [math.exp(score) / total for score in scores]
            joined.append(sum(a * r[channels:][part] for a, r in zip(weights, read, strict=True)))
        samples.append(head.merge.weight @ torch.cat(joined) + head.merge.bias)
    return torch.stack(samples)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = AttentionPool(4, num_heads=2, table_size=3)
    return head, (4, 3, 2), lambda x: by_the_paper(x, head)


@pytest.mark.parametrize("size", [(3, 3), (5, 2), (1, 4), (7,), (3,)])
@pytest.mark.parametrize("out_channels", [None, 3])
def test_follows_the_formula(size: tuple[int, ...], out_channels: int | None) -> None:
    """The mean reads from all positions, at the table's size and at others."""
    torch.manual_seed(0)
    head = AttentionPool(4, ndim=len(size), num_heads=2, table_size=3, out_channels=out_channels)
    head = head.double().requires_grad_(False)
    x = 3 * torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(head(x), by_the_paper(x, head), rtol=1e-6, atol=1e-6)
    assert head.out_features == (out_channels or 4)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = AttentionPool(4, ndim=1, num_heads=2, table_size=2).double()
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_equals_timm_at_the_size_of_the_table() -> None:
    """With the same weights it gives the numbers of timm's AttentionPool2d."""
    layers = pytest.importorskip("timm.layers")
    theirs = layers.AttentionPool2d(16, feat_size=(5, 5), num_heads=4, head_dim=None)
    ours = AttentionPool(16, num_heads=4, table_size=5)
    state = {
        "mean_position": theirs.pos_embed[0],
        "positions": theirs.pos_embed[1:].unflatten(0, (5, 5)),
        "merge.weight": theirs.proj.weight,
        "merge.bias": theirs.proj.bias,
    }
    for kind in ("weight", "bias"):
        both = getattr(theirs.qkv, kind)
        state |= {f"query.{kind}": both[:16], f"read.{kind}": both[16:]}
    ours.load_state_dict(state)
    x = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_head_has_64_channels() -> None:
    """Where their number is not given, heads are as wide as in the paper's nets."""
    assert [AttentionPool(c).num_heads for c in (8, 64, 128, 512)] == [1, 1, 2, 8]


@pytest.mark.parametrize(("channels", "heads"), [(440, 5), (127, 1), (640, 10), (66, 1)])
def test_the_heads_it_takes_by_itself_share_out_the_channels(channels: int, heads: int) -> None:
    """As many of 64 channels or more as divide them."""
    assert AttentionPool(channels).num_heads == heads


def test_refuses_bad_options() -> None:
    """Heads divide the channels; sizes are whole numbers."""
    with pytest.raises(
        InvalidValue, match=r"num_heads is 3, .* divisor of channels 8, e\.g\. 1, 2"
    ):
        AttentionPool(8, num_heads=3)
    with pytest.raises(InvalidValue, match="table_size is 0, but must be a whole number"):
        AttentionPool(8, table_size=0)
    with pytest.raises(InvalidValue, match="out_channels is 0, but must be a whole number"):
        AttentionPool(8, out_channels=0)

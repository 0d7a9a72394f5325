"""What attentions over positions share, against loops."""

from __future__ import annotations

import pytest
import torch
from zoo_attention.self_attention import reading


@pytest.mark.parametrize("size", [(5,), (1,), (3, 5), (2, 1)])
def test_halved_takes_maxima_of_real_positions(size: tuple[int, ...]) -> None:
    """Each window of two positions an axis gives its largest real value, and is real if one is."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size)
    mask = torch.rand(2, *size) < 0.5
    small, kept = reading.halved(reading.tokens(x, mask), x, mask)
    plane = x if len(size) == 2 else x.unsqueeze(2)
    there = mask if len(size) == 2 else mask.unsqueeze(1)
    step = 2 if len(size) == 2 else 1
    index = 0
    for row in range(0, plane.shape[2], step):
        for column in range(0, plane.shape[3], 2):
            window = (slice(row, row + step), slice(column, column + 2))
            for n in range(2):
                real = there[(n, *window)]
                assert kept.flatten(1)[n, index] == real.any()
                values = plane[(n, slice(None), *window)][:, real]
                expected = values.amax(1) if real.any() else torch.zeros(3)
                torch.testing.assert_close(small[n, index], expected)
            index += 1
    assert small.shape[1] == index


@pytest.mark.parametrize("size", [(5,), (4,), (3, 5), (1, 1)])
def test_unhalved_shares_among_real_positions(size: tuple[int, ...]) -> None:
    """The weight of a window is shared by its real positions, and none is lost."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size)
    for mask in (None, torch.arange(size[-1]).expand(2, *size) < max(1, size[-1] - 1)):
        small, kept = reading.halved(reading.tokens(x, mask), x, mask)
        weights = reading.softmax(small[..., 0].unsqueeze(1), kept).squeeze(1)
        spread = reading.unhalved(weights, x, mask)
        torch.testing.assert_close(spread.flatten(1).sum(1), torch.ones(2))
        first = spread.flatten(1)[:, 0]
        sharing = 2 ** sum(side > 1 for side in size)
        torch.testing.assert_close(first * sharing, weights[:, 0])


@pytest.mark.parametrize("heads", [(), (3,)])
@pytest.mark.parametrize("width", [2, 5])
def test_attend_is_softmax_times_values(heads: tuple[int, ...], width: int) -> None:
    """Queries read real keys only, whatever the widths; a sample without any reads them all."""
    torch.manual_seed(0)
    query, key = torch.randn(2, *heads, 4, 2), torch.randn(2, *heads, 6, 2)
    value = torch.randn(2, *heads, 6, width)
    mask = torch.tensor([[True] * 4 + [False] * 2, [False] * 6])
    found = reading.attend(query, key, value, mask, scale=0.7)
    scores = torch.einsum("...id,...jd->...ij", query, key) * 0.7
    for n, keys in enumerate((4, 6)):
        weights = scores[n, ..., :keys].exp()
        weights = weights / weights.sum(-1, keepdim=True)
        expected = torch.einsum("...ij,...jd->...id", weights, value[n, ..., :keys, :])
        torch.testing.assert_close(found[n], expected)
    shares = reading.received(query, key, mask, scale=0.7, queries=torch.ones(2, 4).bool())
    torch.testing.assert_close(shares.sum(1), torch.ones(2))
    assert not shares[0, 4:].any()


def test_shares_sum_to_one() -> None:
    """Weights are divided by their sum; where all are 0 they stay 0."""
    found = reading.shares(torch.tensor([[[1.0, 3.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]]))
    expected = torch.tensor([[[0.125, 0.375], [0.0, 0.5]], [[0.0, 0.0], [0.0, 0.0]]])
    assert torch.equal(found, expected)

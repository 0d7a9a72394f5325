"""Half maps against loops."""

from __future__ import annotations

import pytest
import torch
from zoo_attention.self_attention import halving, reading


@pytest.mark.parametrize("size", [(5,), (1,), (3, 5), (2, 1)])
def test_halved_takes_maxima_of_real_positions(size: tuple[int, ...]) -> None:
    """Each window of two positions an axis gives its largest real value, and is real if one is."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size)
    mask = torch.rand(2, *size) < 0.5
    small, kept = halving.halved(reading.tokens(x, mask), x, mask)
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
        small, kept = halving.halved(reading.tokens(x, mask), x, mask)
        weights = reading.softmax(small[..., 0].unsqueeze(1), kept).squeeze(1)
        spread = halving.unhalved(weights, x, mask)
        torch.testing.assert_close(spread.flatten(1).sum(1), torch.ones(2))
        first = spread.flatten(1)[:, 0]
        sharing = 2 ** sum(side > 1 for side in size)
        torch.testing.assert_close(first * sharing, weights[:, 0])

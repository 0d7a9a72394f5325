"""Sine positions against their formula."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.self_attention.positions import sine_positions


def wave(position: int, channel: int, width: int) -> float:
    """Return one entry of the paper's table."""
    angle = position / 10000 ** (2 * (channel // 2) / width)
    return math.cos(angle) if channel % 2 else math.sin(angle)


@pytest.mark.parametrize("channels", [1, 6, 7])
def test_line_follows_the_formula(channels: int) -> None:
    """On a line, channel c of position t is the paper's wave, for odd widths as well."""
    table = sine_positions(torch.zeros(1, channels, 5))
    expected = [[wave(t, c, channels) for t in range(5)] for c in range(channels)]
    torch.testing.assert_close(table, torch.tensor(expected))


@pytest.mark.parametrize("channels", [1, 8, 11])
def test_plane_tells_rows_then_columns(channels: int) -> None:
    """On a plane, the first half of the channels is the row's wave, the second the column's."""
    table = sine_positions(torch.zeros(1, channels, 3, 4))
    half = channels // 2
    for c in range(channels):
        for row in range(3):
            for column in range(4):
                at = (row, c, half) if c < half else (column, c - half, channels - half)
                assert table[c, row, column].item() == pytest.approx(wave(*at), abs=1e-6)


def test_keeps_the_dtype() -> None:
    """Positions come in the dtype of the map."""
    assert sine_positions(torch.zeros(1, 4, 5, dtype=torch.bfloat16)).dtype == torch.bfloat16

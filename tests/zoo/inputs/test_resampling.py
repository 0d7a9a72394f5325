"""Resampling against sines, whose samples at any rate are known."""

from __future__ import annotations

import math

import pytest
import torch

from zoo.errors import InvalidValue
from zoo.inputs.resampling import resample

RATES = [(44_100, 16_000), (16_000, 44_100), (8000, 16_000), (48_000, 16_000), (9001, 8000)]


def sine(frequency: float, rate: int, length: int) -> torch.Tensor:
    """Sample a sine at a rate, in double precision."""
    return torch.sin(2 * math.pi * frequency / rate * torch.arange(length, dtype=torch.float64))


@pytest.mark.parametrize(("old", "new"), RATES)
def test_a_sine_stays_a_sine(old: int, new: int) -> None:
    """Below the band's end a sine comes out as the sine sampled at the new rate."""
    frequency = 0.35 * min(old, new)
    y = resample(sine(frequency, old, old // 4).float()[None], old, new)[0]
    assert len(y) == math.ceil(old // 4 * new / old)
    inner = slice(len(y) // 8, -len(y) // 8)
    torch.testing.assert_close(
        y[inner], sine(frequency, new, len(y)).float()[inner], atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(("old", "new"), [(44_100, 16_000), (48_000, 16_000), (9001, 8000)])
def test_what_the_new_rate_cannot_hold_is_gone(old: int, new: int) -> None:
    """A sine above half the new rate does not come back as an alias: it is 80 dB down at least."""
    y = resample(sine(1.08 * new / 2, old, old // 4).float()[None], old, new)[0]
    assert y[len(y) // 8 : -len(y) // 8].abs().max().item() < 1e-4


def test_a_constant_stays() -> None:
    """Silence at a level keeps its level, away from the ends."""
    y = resample(torch.ones(2, 4000), 11_025, 8000)
    torch.testing.assert_close(y[:, 100:-100], torch.ones_like(y[:, 100:-100]))


def test_an_equal_rate_changes_nothing() -> None:
    """The same rate, or no samples, is given back."""
    x = torch.randn(2, 50)
    assert torch.equal(resample(x, 8000, 8000), x)
    assert resample(torch.zeros(1, 0), 8000, 16_000).shape == (1, 0)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_takes_the_shortest_clips(length: int) -> None:
    """A clip of one sample is one, too."""
    assert resample(torch.ones(1, length), 44_100, 16_000).shape == (
        1,
        math.ceil(length * 160 / 441),
    )
    assert resample(torch.ones(1, length), 8000, 16_000).shape == (1, 2 * length)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (1, 16_000, r"Sound at 1 Hz .* 16000 times as many .* It is to be at least 250 Hz\."),
        (249, 16_000, r"64 times is the most\. Is that rate right"),
        (999_983, 16_000, r"more than 100,000 times 1, .* Else resample it to a round one"),
    ],
)
def test_rates_of_no_sound_are_refused(old: int, new: int, message: str) -> None:
    """At once: four kilobytes at 1 Hz would be a minute's work, and so would all filters of a high odd rate."""
    with pytest.raises(InvalidValue, match=message):
        resample(torch.zeros(1, 2000), old, new)


@pytest.mark.parametrize(("old", "new"), [(250, 16_000), (1_000_000, 16_000), (1, 1)])
def test_rates_at_the_bounds_are_taken(old: int, new: int) -> None:
    """Among them equal ones, whatever they are: nothing is to be done."""
    assert resample(torch.zeros(1, 200), old, new).shape == (1, -(-200 * new // old))

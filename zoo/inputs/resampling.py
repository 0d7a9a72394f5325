"""Sound at another sample rate: a windowed sinc, evaluated only where a sample is wanted.

Formula  y[j] = sum over n of x[n] h(j / new - n / old),   h(t) = 2 c / old sinc(2 c t) kaiser(t),
         with the cutoff c = rolloff / 2 of the lower rate, and a window of `ZEROS` zero crossings a side
Cost     about 4 ZEROS max(1, old / new) / rolloff multiply-adds a sample; the last filters are kept

Beyond the ends of the clip there are zeros.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import InvalidValue

ZEROS = 32
ROLLOFF = 0.95  # the share of the band that is kept; the rest is the filter's slope
BETA = 10.0  # of the Kaiser window: what is cut off is 100 dB down
MOST_UP = 64  # times the old rate: 250 Hz become 16 kHz; what is slower is a mistake, and would fill the memory
MOST_STEPS = 100_000  # the higher rate over the common divisor; there is a filter for each step of the new rate


def resample(x: Tensor, old: int, new: int) -> Tensor:
    """Return sound (channels, T) at `new` in place of `old` Hz: (channels, T new / old, rounded up).

    Raises:
        InvalidValue: `new` is more than 64 times `old`, or one of them is above 100,000 times what divides both.
    """
    common = math.gcd(old, new)
    down, up = old // common, new // common
    if down == up or x.shape[-1] == 0:
        return x
    _check_rates(old, new, common)
    filters = _filters(down, up)  # (up, taps)
    taps = filters.shape[1]
    length = -(-x.shape[-1] * up // down)
    # Output r + up k lies at r down / up + down k: for each r a filter of its own, moved by whole steps of
    # `down`. Those r whose inputs overlap are one convolution with a channel each.
    group = max(1, taps * up // down)
    span = taps + group * down // up + 1
    rounds = -(-length // up)
    left = taps // 2 - 1  # taps reach as far back as ahead
    padded = F.pad(x, (left, max(0, rounds * down + span - x.shape[-1] - left))).unsqueeze(1)
    y = x.new_empty(x.shape[0], rounds, up)
    for first in range(0, min(up, length), group):
        position = torch.arange(first, min(first + group, up)) * down
        begin = position // up
        place = (begin - begin[0])[:, None] + torch.arange(taps)
        kernel = filters.new_zeros(len(position), span).scatter_(1, place, filters[position % up])
        parts = F.conv1d(padded[..., int(begin[0]) :], kernel.unsqueeze(1), stride=down)
        y[:, :, first : first + group] = parts[..., :rounds].transpose(1, 2)
    return y.flatten(1)[:, :length]


def _check_rates(old: int, new: int, common: int) -> None:
    if new > MOST_UP * old:
        raise InvalidValue(
            f"Sound at {old} Hz cannot be brought to the model's {new} Hz: that is {new / old:.0f} times as many samples, "
            f"and {MOST_UP} times is the most. Is that rate right? It is to be at least "
            f"{-(-new // MOST_UP)} Hz."
        )
    if max(old, new) > MOST_STEPS * common:
        raise InvalidValue(
            f"Sound at {old} Hz cannot be brought to the model's {new} Hz: the higher rate is more than {MOST_STEPS:,} "
            f"times {common}, all that divides both, which takes too many filters. Is that rate right? "
            "Else resample it to a round one first."
        )


@lru_cache(maxsize=4)
def _filters(down: int, up: int) -> Tensor:
    """The taps of each phase, (up, taps): phase p is p / up behind an input sample."""
    cutoff = min(1.0, up / down) * ROLLOFF  # in units of the old rate's half
    half = math.ceil(ZEROS / cutoff)
    offsets = torch.arange(1 - half, half + 1, dtype=torch.float64)
    times = torch.arange(up, dtype=torch.float64)[:, None] / up - offsets  # in input samples
    window = torch.special.i0(BETA * (1 - (times / half).square()).clamp_min(0).sqrt())
    filters = cutoff * torch.sinc(cutoff * times) * window * (times.abs() <= half)
    # Each phase passes a constant on as it is.
    normalized: Tensor = filters / filters.sum(1, keepdim=True)
    return normalized.float()

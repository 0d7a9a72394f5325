"""Augmentation of sounds: batches of waveforms (N, C, T), or of the spectrograms (N, C, M, F) made of them.

Clips of several lengths come with a mask (N, T), or (N, F) of the frames, True where a clip is: each is changed within
its own length, and silence stays behind it.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from zoo.errors import InvalidValue


class Shift:
    """Move each clip in time by up to a share of its length either way; silence comes in.

    Args:
        share: Of the clip's length, in [0, 1].
    """

    def __init__(self, *, share: float = 0.1) -> None:
        if not 0.0 <= share <= 1.0:
            raise InvalidValue(f"shift: share is {share!r}; give a number in [0, 1].")
        self.share = share

    def __call__(self, x: Tensor, generator: Generator, mask: Tensor | None = None) -> Tensor:
        """Return the moved clips."""
        lengths = _lengths(x, mask)
        most = (self.share * lengths).long()  # (N, 1)
        draws = torch.rand(len(x), 1, generator=generator).to(x.device)
        moves = (draws * (2 * most + 1)).long() - most
        places = torch.arange(x.shape[-1], device=x.device) - moves  # (N, T)
        inside = (places >= 0) & (places < lengths)
        moved = x.gather(2, _spread(places.clamp(0, x.shape[-1] - 1), x))
        return moved * _real(inside, mask)[:, None]


class Noise:
    """Add white noise to each clip, so much quieter than its loudest sample.

    Args:
        quietest: In decibels, at most `loudest`.
        loudest: In decibels, at most 0: as loud as the clip.
    """

    def __init__(self, *, quietest: float = -60.0, loudest: float = -30.0) -> None:
        if not -math.inf < quietest <= loudest <= 0.0:
            raise InvalidValue(
                f"noise: from {quietest!r} to {loudest!r} decibels; give two numbers in order, at most 0."
            )
        self.quietest, self.loudest = quietest, loudest

    def __call__(self, x: Tensor, generator: Generator, mask: Tensor | None = None) -> Tensor:
        """Return the clips with noise."""
        draws = torch.rand(len(x), 1, 1, generator=generator)
        level = 10 ** ((self.quietest + draws * (self.loudest - self.quietest)) / 20)
        noise = torch.randn(x.shape, generator=generator).mul_(level).to(x.device, x.dtype)
        if mask is not None:
            noise *= mask[:, None]
        return x + noise * x.abs().amax((1, 2), keepdim=True)


class Speed:
    """Play each clip faster or slower, and so higher or lower; it begins where it began.

    What no longer fits is cut off, what falls short ends in silence.

    Args:
        change: Greatest change, as a share of 1, in [0, 1).
    """

    def __init__(self, *, change: float = 0.1) -> None:
        if not 0.0 <= change < 1.0:
            raise InvalidValue(f"speed: change is {change!r}; give a number in [0, 1).")
        self.change = change

    def __call__(self, x: Tensor, generator: Generator, mask: Tensor | None = None) -> Tensor:
        """Return the changed clips."""
        lengths = _lengths(x, mask)
        speed = 1 + (torch.rand(len(x), 1, generator=generator) * 2 - 1) * self.change
        places = (torch.arange(x.shape[-1]) * speed).to(x.device)  # (N, T), between samples
        before = places.long()
        share = (places - before)[:, None].to(x.dtype)
        first = x.gather(2, _spread(before.minimum(lengths - 1), x))
        second = x.gather(2, _spread((before + 1).minimum(lengths - 1), x))
        return torch.lerp(first, second, share) * _real(before < lengths, mask)[:, None]


class SpecAugment:
    """Hide bands of each spectrogram in time and in pitch (Park et al. 2019, arXiv 1904.08779).

    Widths in time are shares of the clip's own frames, however long the batch is. What is hidden becomes 0, which is
    the mean of a normalised spectrogram.

    Args:
        times: Bands in time, at least 0.
        time_share: Greatest width of one, as a share of the clip's frames, in [0, 1].
        pitches: Bands in pitch, at least 0.
        pitch_share: Greatest width of one, as a share of the mel bands, in [0, 1].
    """

    def __init__(
        self,
        *,
        times: int = 2,
        time_share: float = 0.2,
        pitches: int = 2,
        pitch_share: float = 0.2,
    ) -> None:
        if min(times, pitches) < 0 or not all(0.0 <= s <= 1.0 for s in (time_share, pitch_share)):
            raise InvalidValue(
                f"spec_augment: {times!r} times of {time_share!r}, {pitches!r} pitches of {pitch_share!r}; give "
                "numbers of at least 0, and shares in [0, 1]."
            )
        self.times, self.time_share = times, time_share
        self.pitches, self.pitch_share = pitches, pitch_share

    def __call__(self, x: Tensor, generator: Generator, mask: Tensor | None = None) -> Tensor:
        """Return the spectrograms with their bands hidden."""
        bands = torch.full((len(x), 1), x.shape[2], device=x.device)
        time = _hidden(_lengths(x, mask), x.shape[3], self.times, self.time_share, generator)
        pitch = _hidden(bands, x.shape[2], self.pitches, self.pitch_share, generator)
        return x.masked_fill(time[:, None, None] | pitch[:, None, :, None], 0)


def _lengths(x: Tensor, mask: Tensor | None) -> Tensor:
    """Samples or frames of each clip (N, 1)."""
    if mask is None:
        return torch.full((len(x), 1), x.shape[-1], device=x.device)
    return mask.sum(1, keepdim=True)


def _real(inside: Tensor, mask: Tensor | None) -> Tensor:
    """Those places (N, T) that are within the clip as it was, too."""
    return inside if mask is None else inside & mask


def _spread(places: Tensor, x: Tensor) -> Tensor:
    """The same places (N, T) for all channels of x."""
    return places[:, None].expand(-1, x.shape[1], -1)


def _hidden(lengths: Tensor, size: int, bands: int, share: float, generator: Generator) -> Tensor:
    """Which of `size` places some bands hide, (N, size), each within the first `lengths` (N, 1)."""
    drawn = [torch.rand(len(lengths), bands, 1, generator=generator) for _ in range(2)]
    own = lengths[:, None]  # (N, 1, 1)
    width = (drawn[0].to(own.device) * (share * own + 1)).long()
    first = (drawn[1].to(own.device) * (own - width + 1)).long()
    places = torch.arange(size, device=lengths.device)
    return ((places >= first) & (places < first + width)).any(1)

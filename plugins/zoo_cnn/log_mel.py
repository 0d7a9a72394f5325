"""Log-mel spectrogram: how loud a sound is over pitch and time, as a map.

Paper    Stevens, Volkmann, Newman, "A Scale for the Measurement of ... Pitch", JASA 1937; mel as in HTK's book
Formula  mel(f) = 2595 log10(1 + f / 700);   y = log(max(M |STFT(x)|^2, floor)), then (y - mean) / std of the clip
Shapes   x (N, C, T) samples -> (N, C, num_mels, F) with F = T / hop, rounded up
Cost     no parameters; 2 window n_fft / 2 multiply-adds a frame, as a convolution (at 16 kHz about as quick
         as an FFT, and it can be exported for any T)
Differs  power is relative to that of a sine of amplitude 2, so that `floor` does not depend on the window

Frame f is centred on sample f hop, and is real where that sample is. Beyond the ends of a clip, and under
a mask, it sees zeros: a clip gives the same frames alone as padded in a batch, up to rounding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import InvalidValue
from zoo_cnn.layers import zero_padding

MOST_SAMPLES = 2**13  # of a window: its table of waves grows with the square


class LogMel(nn.Module):
    """Log-mel spectrogram, normalised clip by clip. Computes in float32, whatever the model's dtype.

    On a GPU the products of its convolutions are of TensorFloat-32, unless torch.backends.cudnn.allow_tf32 is off.

    Args:
        sample_rate: Of the waveform, in Hz.
        window_ms: Length of the Hann window, in milliseconds.
        hop_ms: From a frame to the next, in milliseconds.
        num_mels: Bands, as wide as each other in mel, from 0 Hz to half the sample rate.
        floor: Power below which all is silence.

    Raises:
        InvalidValue: A number is not positive, the window is too long, or the bands are narrower than it can tell
            apart.
    """

    makes_spectrogram = True  # where SpecAugment hides bands while a model trains
    fourier: Tensor
    mel_weights: Tensor

    def __init__(
        self,
        *,
        sample_rate: int = 16_000,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        num_mels: int = 64,
        floor: float = 1e-10,
    ) -> None:
        super().__init__()
        for option, value, kinds in (
            ("sample_rate", sample_rate, int),
            ("window_ms", window_ms, int | float),
            ("hop_ms", hop_ms, int | float),
            ("num_mels", num_mels, int),
            ("floor", floor, int | float),
        ):
            if not isinstance(value, kinds) or isinstance(value, bool) or not 0 < value < math.inf:
                raise InvalidValue(f"log_mel: {option} is {value!r}; give a positive number.")
        self.window = max(2, round(sample_rate * window_ms / 1000))
        if self.window > MOST_SAMPLES:
            raise InvalidValue(
                f"log_mel: window_ms {window_ms} at {sample_rate} Hz is a window of {self.window} samples; at most "
                f"{MOST_SAMPLES} are taken. Give a shorter window, or a lower sample rate."
            )
        self.hop = max(1, round(sample_rate * hop_ms / 1000))
        self.n_fft = 2 ** math.ceil(math.log2(self.window))
        self.num_mels, self.floor = num_mels, floor
        weights = mel_filters(num_mels, n_fft=self.n_fft, sample_rate=sample_rate)
        # Both follow from the options, hence are no part of the saved weights.
        self.register_buffer(
            "fourier", fourier_basis(self.window, n_fft=self.n_fft), persistent=False
        )
        self.register_buffer("mel_weights", weights, persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map samples (N, C, T) to (N, C, num_mels, F); `mask` is (N, T)."""
        with torch.autocast(x.device.type, enabled=False):
            y = self._power(zero_padding(x, mask)).clamp_min(self.floor).log()
            real = None if mask is None else self.downsample_mask(mask)[:, None, None]
            return _normalized(y, real).to(x.dtype)

    def downsample_mask(self, mask: Tensor) -> Tensor:
        """The mask (N, F) of the frames, for `mask` (N, T) of the samples."""
        return mask[:, :: self.hop]

    def _power(self, x: Tensor) -> Tensor:
        half = self.window // 2
        padded = F.pad(x.float().flatten(0, 1).unsqueeze(1), (half, self.window - 1 - half))
        waves = F.conv1d(padded, self.fourier.float(), stride=self.hop)  # (N C, 2 frequencies, F)
        cosines, sines = waves.square().chunk(2, 1)
        mels = F.conv1d(cosines + sines, self.mel_weights.float())  # (N C, num_mels, F)
        return mels.view(*x.shape[:2], *mels.shape[1:])


def fourier_basis(window: int, *, n_fft: int) -> Tensor:
    """Cosines, then sines, under a Hann window of sum 1: (2 (n_fft / 2 + 1), 1, window)."""
    time = torch.arange(window, dtype=torch.float64)
    angles = 2 * math.pi / n_fft * torch.outer(torch.arange(n_fft // 2 + 1), time)
    hann = torch.hann_window(window, dtype=torch.float64)
    return (torch.cat([angles.cos(), angles.sin()]) * hann / hann.sum()).unsqueeze(1).float()


def mel_filters(num_mels: int, *, n_fft: int, sample_rate: int) -> Tensor:
    """Triangles over the frequencies of the spectrum, (num_mels, n_fft / 2 + 1, 1), each 1 at its centre.

    Raises:
        InvalidValue: A triangle falls between two frequencies.
    """
    too_many = InvalidValue(
        f"log_mel: num_mels is {num_mels}, too many for a window of {n_fft} points at {sample_rate} Hz: "
        "some bands would be empty. Give fewer, or a longer window."
    )
    if num_mels > n_fft + 2:  # a frequency lies in two bands at most
        raise too_many
    frequencies = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    mels = torch.linspace(0, top, num_mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1)
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    weights = torch.minimum(rising, falling).clamp_min(0)
    if bool((weights.amax(0) == 0).any()):
        raise too_many
    return weights.T.unsqueeze(-1).contiguous().float()


def _normalized(y: Tensor, real: Tensor | None) -> Tensor:
    """Mean 0 and standard deviation 1 over the real frames of each clip; 0 in the others."""
    axes = (1, 2, 3)
    if real is None:
        y = y - y.mean(axes, keepdim=True)
        return y / (y.square().mean(axes, keepdim=True).sqrt() + 1e-5)
    weight = real.to(y.dtype)
    count = (weight.sum(axes, keepdim=True) * y.shape[1] * y.shape[2]).clamp_min(1)
    y = (y - (y * weight).sum(axes, keepdim=True) / count) * weight
    return y / ((y.square().sum(axes, keepdim=True) / count).sqrt() + 1e-5)

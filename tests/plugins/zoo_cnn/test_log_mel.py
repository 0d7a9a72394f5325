"""LogMel against torch's own short-time Fourier transform and the formula of the mel scale."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_cnn.log_mel import LogMel, mel_filters

from zoo import InvalidValue


def by_the_formula(x: torch.Tensor, *, rate: int, mels: int, floor: float) -> torch.Tensor:
    """Return one channel's log-mel spectrogram, band by band, from an STFT in double precision."""
    window, hop, n_fft = round(rate * 0.025), round(rate * 0.010), 512
    hann = torch.hann_window(window, dtype=torch.float64)
    edges = [2595 * math.log10(1 + rate / 1400) * i / (mels + 1) for i in range(mels + 2)]
    edges = [700 * (10 ** (mel / 2595) - 1) for mel in edges]
    frames = math.ceil(len(x) / hop)
    y = torch.empty(mels, frames, dtype=torch.float64)
    for frame in range(frames):
        start = frame * hop - window // 2
        piece = torch.zeros(window, dtype=torch.float64)
        for i in range(window):
            if 0 <= start + i < len(x):
                piece[i] = x[start + i]
        power = torch.fft.rfft(piece * hann / hann.sum(), n_fft).abs().square()
        for band in range(mels):
            low, centre, high = edges[band : band + 3]
            total = 0.0
            for k in range(n_fft // 2 + 1):
                f = k * rate / n_fft
                if low < f <= centre:
                    total += power[k].item() * (f - low) / (centre - low)
                elif centre < f < high:
                    total += power[k].item() * (high - f) / (high - centre)
            y[band, frame] = math.log(max(total, floor))
    return (y - y.mean()) / y.std(correction=0)


@pytest.mark.parametrize("samples", [1000, 961, 50])
def test_follows_the_formula(samples: int) -> None:
    """The spectrogram is that of the formula, for clips that are no whole number of hops, too."""
    torch.manual_seed(0)
    x = torch.randn(samples, dtype=torch.float64)
    expected = by_the_formula(x, rate=16_000, mels=12, floor=1e-4)
    found = LogMel(num_mels=12, floor=1e-4)(x[None, None].float())[0, 0]
    torch.testing.assert_close(found, expected.float(), atol=1e-3, rtol=1e-3)


def test_a_tone_lights_its_band() -> None:
    """A sine of 1 kHz, which is 1000 mel, is loudest in the band whose centre is nearest."""
    time = torch.arange(16_000) / 16_000
    y = LogMel(num_mels=64)(torch.sin(2 * math.pi * 1000 * time)[None, None])[0, 0]
    step = 2595 * math.log10(1 + 8000 / 700) / 65
    assert y[:, 50].argmax().item() == round(1000 / step) - 1


def test_filters_overlap_to_one() -> None:
    """Between the first centre and the last, the triangles of neighbours add up to 1."""
    total = mel_filters(20, n_fft=512, sample_rate=16_000).squeeze(-1).sum(0)
    torch.testing.assert_close(total[10:200], torch.ones(190))


def test_padding_changes_nothing() -> None:
    """Under a mask a clip gives the frames that it gives alone; frames are real where they begin to be."""
    torch.manual_seed(0)
    module = LogMel(num_mels=16)
    clip = torch.randn(1, 2, 1601)
    padded = torch.nn.functional.pad(clip, (0, 900), value=5.0)
    mask = torch.arange(2501)[None] < 1601
    real = module.downsample_mask(mask)
    assert real.sum().item() == 11  # samples 0, 160, ... 1600
    found = module(padded, mask)
    torch.testing.assert_close(found[..., :11], module(clip), atol=1e-4, rtol=1e-4)
    assert bool((found[..., 11:] == 0).all())


@pytest.mark.parametrize("garbage", [float("nan"), float("inf")])
def test_padding_that_is_no_number_changes_nothing(garbage: float) -> None:
    """A product with the mask would leave it what it is."""
    log_mel, x = LogMel(sample_rate=8000), torch.randn(1, 1, 400)
    padded = torch.cat([x, torch.full((1, 1, 200), garbage)], 2)
    found = log_mel(padded, torch.arange(600).unsqueeze(0) < 400)
    expected = log_mel(x)
    torch.testing.assert_close(found[..., : expected.shape[3]], expected, rtol=1e-4, atol=1e-4)


def test_silence_and_empty_masks_are_finite() -> None:
    """Digital silence, and a clip without a real sample, give zeros, not NaN."""
    module = LogMel(num_mels=16)
    assert bool((module(torch.zeros(1, 1, 500)) == 0).all())
    none = torch.zeros(1, 500, dtype=torch.bool)
    assert bool(torch.isfinite(module(torch.randn(1, 1, 500), none)).all())


def test_loudness_of_a_clip_is_normalised_away() -> None:
    """A clip ten times as loud gives the same map."""
    torch.manual_seed(0)
    x = torch.randn(1, 1, 2000)
    module = LogMel(num_mels=16)
    torch.testing.assert_close(module(10 * x), module(x), atol=1e-3, rtol=1e-3)


def test_state_dict_is_empty_and_dtype_is_kept() -> None:
    """Nothing of it is saved; a half-precision input gives a half-precision map, computed in float32."""
    module = LogMel(num_mels=16)
    assert module.state_dict() == {}
    x = torch.randn(1, 1, 2000)
    half = module(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), module(x), atol=0.1, rtol=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(x), module(x.float()))
        assert module(x).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 0}, "sample_rate is 0; give a positive number"),
        ({"sample_rate": 16_000.5}, "sample_rate is 16000.5"),
        ({"window_ms": -1.0}, "window_ms is -1.0"),
        ({"hop_ms": float("nan")}, "hop_ms is nan"),
        ({"hop_ms": True}, "hop_ms is True"),
        ({"window_ms": 600}, "window of 9600 samples; at most 8192 are taken"),
        ({"num_mels": 512}, "num_mels is 512, too many for a window of 512 points"),
    ],
)
def test_refuses_bad_options(options: dict[str, float], message: str) -> None:
    """An option out of its range is answered with what is right."""
    with pytest.raises(InvalidValue, match=message):
        LogMel(**options)

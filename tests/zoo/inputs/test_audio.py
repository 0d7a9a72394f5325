"""Sound: WAV files of every encoding, mixing, resampling and cutting, and what is refused."""

from __future__ import annotations

import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from zoo import InvalidValue
from zoo.inputs.audio import AudioTransform
from zoo.spec import AudioInput

AUDIO_CNN = {"name": "audio_cnn", "widths": [4, 8], "depths": 1, "num_mels": 16}


def wav(
    encoding: int,
    bits: int,
    data: bytes,
    *,
    channels: int = 1,
    rate: int = 8000,
    extra: bytes = b"",
) -> bytes:
    """Write a WAV file by hand: format, a part that nobody knows, data."""
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", encoding, channels, rate, rate * frame, frame, bits) + extra
    parts = b"".join(
        name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
        for name, body in ((b"fmt ", form), (b"LIST", b"odd"), (b"data", data))
    )
    return b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WAVE" + parts


def transform(**fields: Any) -> AudioTransform:
    """Make the preprocessing of sound at 8 kHz."""
    return AudioTransform(AudioInput(**{"sample_rate": 8000, **fields}))


EXTENSIBLE = struct.pack("<HHIH14s", 22, 24, 4, 1, b"\0" * 14)
HALVES = [0.0, 0.5, -0.5, -1.0]


@pytest.mark.parametrize(
    ("encoding", "bits", "data", "extra"),
    [
        (1, 8, bytes([128, 192, 64, 0]), b""),
        (1, 16, struct.pack("<4h", 0, 2**14, -(2**14), -(2**15)), b""),
        (
            1,
            24,
            b"".join(v.to_bytes(3, "little", signed=True) for v in (0, 2**22, -(2**22), -(2**23))),
            b"",
        ),
        (1, 32, struct.pack("<4i", 0, 2**30, -(2**30), -(2**31)), b""),
        (3, 32, struct.pack("<4f", *HALVES), b""),
        (3, 64, struct.pack("<4d", *HALVES), b""),
        (
            0xFFFE,
            24,
            b"".join(v.to_bytes(3, "little", signed=True) for v in (0, 2**22, -(2**22), -(2**23))),
            EXTENSIBLE,
        ),
    ],
)
def test_reads_every_encoding(
    tmp_path: Path, encoding: int, bits: int, data: bytes, extra: bytes
) -> None:
    """PCM of 8 to 32 bits, floats and extensible files all give the same samples."""
    path = tmp_path / "clip.wav"
    path.write_bytes(wav(encoding, bits, data, extra=extra))
    assert transform()(path).tolist() == [HALVES]


def test_reads_what_the_standard_library_writes(tmp_path: Path) -> None:
    """A stereo file of Python's own `wave` is read, its channels apart or mixed."""
    path = str(tmp_path / "clip.wav")
    with wave.open(path, "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(struct.pack("<6h", 0, 2**14, 2**13, 2**14, -(2**14), 0))
    assert transform(channels=2)(path).tolist() == [[0.0, 0.25, -0.5], [0.5, 0.5, 0.0]]
    assert transform()(path).tolist() == [[0.25, 0.375, -0.25]]


def test_reads_a_stream_of_unknown_size(tmp_path: Path) -> None:
    """A file whose writer could not go back to fill in the size is read to its end."""
    path = tmp_path / "clip.wav"
    content = wav(1, 16, struct.pack("<2h", 2**14, 0))
    path.write_bytes(content.replace(b"data\x04\0\0\0", b"data\xff\xff\xff\xff"))
    assert transform()(path).tolist() == [[0.5, 0.0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ID3 not a sound", "is no WAV file"),
        (b"", "is no WAV file"),
        (
            wav(1, 16, b"\0" * 100)[:-50],
            "is cut off: its part 'data' should have 100 bytes, there are 50",
        ),
        (wav(1, 16, b""), "holds no samples"),
        (b"RIFF\0\0\0\0WAVE", "has no part 'data'"),
        (b"RIFF\0\0\0\0WAVEdata\x02\0\0\0\0\0", "has no part 'fmt '"),
        (wav(2, 4, b"\0" * 8), "encoding 0x2, 4 bits, 1 channels"),
        (wav(1, 12, b"\0" * 8), "12 bits"),
        (wav(1, 16, b"\0" * 8, channels=0), "0 channels"),
        (wav(1, 16, b"\0" * 8, rate=0), "the sample rate is 0"),
        (wav(3, 32, struct.pack("<f", float("nan"))), "NaN or infinite"),
    ],
)
def test_refuses_what_is_no_sound(tmp_path: Path, content: bytes, message: str) -> None:
    """A file that cannot be read is named, with the reason."""
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    with pytest.raises(InvalidValue, match=f"clip.wav.*{message}"):
        transform()(path)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ("missing.wav", "There is no file 'missing.wav'"),
        (".", "'.' is a folder; give a WAV file"),
        (np.zeros(8), "an array with its sample rate"),
        ((np.zeros(8), 0), "the sample rate is 0; it is a whole number of 1 to 1000000 Hz"),
        ((np.zeros(8), 8000.5), "the sample rate is 8000.5"),
        ((np.zeros(8), 10**9), "the sample rate is 1000000000"),
        ((np.zeros((8000, 2)), 8000), "up to 64 channels; got \\(8000, 2\\)"),
        ((np.zeros((3, 8)), 8000), "The sound has 3 channels; the model takes 2"),
        ((np.zeros(0), 8000), "holds no samples"),
        ((["a"], 8000), "an array of numbers"),
        (([[1.0], [1.0, 2.0]], 8000), "an array of numbers"),
        ((torch.zeros(8, requires_grad=True), 8000), "an array of numbers"),
    ],
)
def test_refuses_bad_arrays(sample: Any, message: str) -> None:
    """An array needs a sensible shape, dtype and sample rate."""
    with pytest.raises(InvalidValue, match=message):
        transform(channels=2)(sample)


def test_a_rate_of_no_sound_is_refused(tmp_path: Path) -> None:
    """A file of 4 KB must not become one of 16 million samples."""
    path = tmp_path / "clip.wav"
    path.write_bytes(wav(1, 16, b"\0" * 4000, rate=1))
    with pytest.raises(InvalidValue, match=r"at 1 Hz cannot be brought to the model's 16000 Hz"):
        transform(sample_rate=16_000)(path)


def test_scales_whole_numbers_and_spreads_mono() -> None:
    """Integers are scaled by their type's range; one channel serves a model of two."""
    assert transform()((np.array([0, -(2**15)], np.int16), 8000)).tolist() == [[0.0, -1.0]]
    assert transform()((np.array([128, 0], np.uint8), 8000)).tolist() == [[0.0, -1.0]]
    assert transform(channels=2)((np.array([0.5]), 8000)).tolist() == [[0.5], [0.5]]


def test_cuts_around_the_middle() -> None:
    """A clip that is longer than `seconds` loses its ends; a shorter one stays as it is."""
    ramp = np.arange(100, dtype=np.float32)
    cut = transform(sample_rate=100, seconds=0.5)
    assert cut((ramp, 100)).tolist() == [ramp[25:75].tolist()]
    assert cut((ramp[:30], 100)).shape == (1, 30)


def test_predicts_from_a_file(tmp_path: Path) -> None:
    """`zoo.predict` takes the path of a WAV file at another rate, or an array with its rate."""
    path = tmp_path / "clip.wav"
    path.write_bytes(wav(1, 16, struct.pack("<999h", *range(999)), rate=11_025))
    model = zoo.compose(AUDIO_CNN, labels=["dog", "rain"])
    found = zoo.predict(model, path)
    assert {one.label for one in found} == {"dog", "rain"}
    again = zoo.predict(model, (np.arange(999, dtype=np.int16), 11_025))
    assert [one.probability for one in again] == pytest.approx([one.probability for one in found])


def test_transform_survives_saving(tmp_path: Path) -> None:
    """A loaded model prepares sounds as the saved one did."""
    block = {"kind": "audio", "sample_rate": 16_000, "seconds": 0.25}
    model = zoo.compose(AUDIO_CNN, input=block, num_classes=2).eval()
    loaded = zoo.load(zoo.save(model, tmp_path / "model.safetensors"))
    sound = (np.sin(np.arange(9000)), 8000)
    x = model.transform()(sound)
    assert x.shape == (1, 4000)
    assert torch.equal(loaded(loaded.transform()(sound)[None]), model(x[None]))

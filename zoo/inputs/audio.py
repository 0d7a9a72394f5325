"""Sound: from a WAV file or an array with its sample rate to a waveform (channels, T)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import InvalidValue
from zoo.inputs.resampling import resample
from zoo.inputs.wav import read_wav
from zoo.spec import HIGHEST_RATE, AudioInput

MOST_CHANNELS = 64


class AudioTransform:
    """Mix down, resample, and cut around the middle.

    Takes the path of a WAV file, or `(array, rate)`: (T,) or (channels, T), of floats in [-1, 1] or of
    whole numbers over the full range of their type, and Hz: up to a million, and at least a 64th of the model's rate.

    Args:
        spec: The model's input block.
    """

    def __init__(self, spec: AudioInput) -> None:
        self.spec = spec

    def __call__(self, sample: Any) -> Tensor:
        """Return the sample as a tensor (channels, T).

        Raises:
            InvalidValue: It is no sound, or cannot be read.
        """
        sound, rate = _open(sample)
        x = resample(self._mixed(sound), rate, self.spec.sample_rate)
        length = self.spec.length
        if length is None:
            return x
        begin = max(0, (x.shape[-1] - length) // 2)
        return x[:, begin : begin + length].contiguous()

    def _mixed(self, sound: Tensor) -> Tensor:
        """Bring a sound to the model's channels: to one by their mean, from one by repeating it."""
        have, want = sound.shape[0], self.spec.channels
        if have == want:
            return sound
        if want == 1:
            return sound.mean(0, keepdim=True)
        if have == 1:
            return sound.expand(want, -1)
        raise InvalidValue(f"The sound has {have} channels; the model takes {want}.")


def _open(sample: Any) -> tuple[Tensor, int]:
    if isinstance(sample, str | os.PathLike):
        source = repr(os.fspath(sample))
        try:
            content = Path(sample).read_bytes()
        except FileNotFoundError:
            raise InvalidValue(f"There is no file {source}.") from None
        except IsADirectoryError:
            raise InvalidValue(f"{source} is a folder; give a WAV file.") from None
        except (OSError, ValueError) as error:
            raise InvalidValue(f"The sound {source} cannot be read: {error}.") from None
        array, rate = read_wav(content, source)
    elif isinstance(sample, tuple) and len(sample) == 2:
        source, rate = "The array", sample[1]
        array = _scaled(sample[0])
    else:
        raise InvalidValue(
            f"A sound is the path of a WAV file, or an array with its sample rate: (array, rate); got "
            f"{type(sample).__name__}."
        )
    whole = isinstance(rate, int | np.integer) and not isinstance(rate, bool)
    if not whole or not 1 <= rate <= HIGHEST_RATE:
        raise InvalidValue(
            f"{source}: the sample rate is {rate!r}; it is a whole number of 1 to {HIGHEST_RATE} Hz."
        )
    if array.size == 0:
        raise InvalidValue(f"{source} holds no samples.")
    if not np.isfinite(array).all():
        raise InvalidValue(f"{source} holds NaN or infinite samples.")
    return torch.from_numpy(np.ascontiguousarray(array)), int(rate)


def _scaled(values: Any) -> np.ndarray:
    """Return an array as float32 (channels, T) in [-1, 1]."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError):  # lists of unequal length, tensors with gradients
        array = np.empty(0, dtype=object)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[0] > MOST_CHANNELS:
        raise InvalidValue(
            f"A sound is an array (samples,) or (channels, samples) of up to {MOST_CHANNELS} channels; got "
            f"{np.asarray(values).shape}."
        )
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.kind not in "iu":
        raise InvalidValue(f"A sound is an array of numbers; got dtype {array.dtype}.")
    half = 2.0 ** (8 * array.dtype.itemsize - 1)
    middle = half if array.dtype.kind == "u" else 0.0
    return ((array - middle) / half).astype(np.float32)

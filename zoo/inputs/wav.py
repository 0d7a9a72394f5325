"""WAV files: from their bytes to samples in [-1, 1]. PCM of 8 to 32 bits and floats, plain or extensible."""

from __future__ import annotations

import struct

import numpy as np

from zoo.errors import InvalidValue

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
_UNKNOWN_SIZE = 0xFFFFFFFF  # what a program writes that cannot go back to the header
_FORMATS = "PCM of 8, 16, 24 or 32 bits, or floats of 32 or 64"


def read_wav(content: bytes, source: str) -> tuple[np.ndarray, int]:
    """Return the samples (channels, T), float32, and the sample rate in Hz.

    Args:
        content: The bytes of the file.
        source: Where they came from, for messages.

    Raises:
        InvalidValue: It is no WAV file, is cut off, or has samples of an unknown encoding.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise InvalidValue(f"{source} is no WAV file.")
    form: bytes | None = None
    position = 12
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        begin = position + 8
        body = content[begin : begin + size]
        if len(body) < size and not (name == b"data" and size == _UNKNOWN_SIZE):
            raise InvalidValue(
                f"{source} is cut off: its part {name.decode('latin-1')!r} should have {size} bytes, "
                f"there are {len(body)}."
            )
        if name == b"fmt ":
            form = body
        elif name == b"data":
            return _decode(form, body, source)
        position = begin + size + size % 2
    raise InvalidValue(f"{source} holds no samples: the WAV file has no part 'data'.")


def _decode(form: bytes | None, data: bytes, source: str) -> tuple[np.ndarray, int]:
    if form is None or len(form) < 16:
        raise InvalidValue(f"{source} does not say its format: the WAV file has no part 'fmt '.")
    encoding, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", form)
    if encoding == EXTENSIBLE and len(form) >= 26:
        (encoding,) = struct.unpack_from("<H", form, 24)
    known = (encoding == PCM and bits in (8, 16, 24, 32)) or (
        encoding == FLOAT and bits in (32, 64)
    )
    if not known or channels < 1 or frame != channels * bits // 8:
        raise InvalidValue(
            f"{source}: its samples (encoding {encoding:#x}, {bits} bits, {channels} channels) cannot be read; "
            f"only {_FORMATS} can."
        )
    data = data[: len(data) // frame * frame]
    return _samples(data, encoding, bits).reshape(-1, channels).T, rate


def _samples(data: bytes, encoding: int, bits: int) -> np.ndarray:
    if encoding == FLOAT:
        return np.frombuffer(data, f"<f{bits // 8}").astype(np.float32)
    if bits == 8:  # the one unsigned format
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if bits == 24:  # as the upper bytes of 32 bits
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        data, bits = wide.tobytes(), 32
    whole = np.frombuffer(data, f"<i{bits // 8}")
    return (whole / float(2 ** (bits - 1))).astype(np.float32)

"""Files that data sets are made of, synthesized."""

from __future__ import annotations

import io
import tarfile
import wave
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeFiles = Callable[[Path, Mapping[str, bytes | str]], Path]


@pytest.fixture
def make_files() -> MakeFiles:
    """A function that writes files by their paths below a folder."""

    def make(root: Path, files: Mapping[str, bytes | str]) -> Path:
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return make


@pytest.fixture
def make_tar() -> MakeFiles:
    """A function that writes a tar.gz of files."""

    def make(path: Path, files: Mapping[str, bytes | str]) -> Path:
        with tarfile.open(path, "w:gz") as archive:
            for name, content in files.items():
                data = content.encode() if isinstance(content, str) else content
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return path

    return make


def png(grey: int, *, width: int = 8, height: int = 8, mode: str = "RGB") -> bytes:
    """An image file of one colour."""
    buffer = io.BytesIO()
    Image.new("L", (width, height), grey).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def wav(first: int, *, length: int = 40, rate: int = 8000) -> bytes:
    """A sound file whose samples are all `first`."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.full(length, first, "<i2").tobytes())
    return buffer.getvalue()


@pytest.fixture(name="png")
def make_png() -> Callable[..., bytes]:
    """A function that makes an image file of one colour."""
    return png


@pytest.fixture(name="wav")
def make_wav() -> Callable[..., bytes]:
    """A function that makes a sound file."""
    return wav


@pytest.fixture
def pictures() -> dict[str, bytes]:
    """Twelve different images of two classes."""
    return {f"{label}/{n}.png": png(20 * n + at) for at, label in enumerate("ab") for n in range(6)}


@pytest.fixture
def sounds() -> dict[str, bytes]:
    """Two digits, three speakers, twelve recordings each, all different and of several lengths."""
    return {
        f"{digit}_{speaker}_{n}.wav": wav(1000 * digit + 100 * at + n, length=20 + n)
        for digit in (0, 1)
        for at, speaker in enumerate(("ann", "bob", "cy_d"))
        for n in range(12)
    }

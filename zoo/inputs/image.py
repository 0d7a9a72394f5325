"""Images: from a file, PIL image or array to a normalised tensor (channels, H, W)."""

from __future__ import annotations

import io
import os
import warnings
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import InvalidValue
from zoo.spec import ImageInput

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112  # in EXIF
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_CONVERTED = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")


class _Quiet:
    """Holds back what Pillow warns of: a note that cannot be read is no note.

    `warnings.catch_warnings` is the whole process's: of several threads the last to leave would put back what another
    had set. Here the first to come sets, and the last to go puts back.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._caught.__exit__(None, None, None)


QUIET = _Quiet()


class ImageTransform:
    """Resize so that the shorter side fits, crop the centre, scale to [0, 1], normalise.

    Takes a path, a PIL image, or an array: (H, W) or (H, W, C) of uint8, as image libraries give it.
    Colour is reduced to grey, or grey spread to colour, as the model's channels ask.

    Args:
        spec: The model's input block.

    Raises:
        InvalidValue: The model takes neither 1, 3 nor 4 channels.
    """

    def __init__(self, spec: ImageInput) -> None:
        if spec.channels not in _MODES:
            raise InvalidValue(
                f"Images have 1, 3 or 4 channels; this model takes {spec.channels}. Give it tensors directly."
            )
        self.spec = spec
        shape = (spec.channels, 1, 1)
        self.mean = torch.tensor(spec.mean or [0.0] * spec.channels).view(shape)
        self.std = torch.tensor(spec.std or [1.0] * spec.channels).view(shape)

    def __call__(self, sample: Any) -> Tensor:
        """Return the sample as a tensor (channels, H, W).

        Raises:
            InvalidValue: It is no image, or cannot be read.
        """
        pixels = self._pixels(_open(sample)).astype(np.float32) / 255.0
        return (torch.from_numpy(pixels).permute(2, 0, 1).contiguous() - self.mean) / self.std

    def decode(self, content: bytes, source: str) -> np.ndarray:
        """Return an image file as it is before scaling and normalisation: uint8 (H, W, channels).

        Args:
            content: The bytes of the file.
            source: Where they came from, for messages.

        Raises:
            InvalidValue: They are no image, or cannot be read.
        """
        return self._pixels(_read(io.BytesIO(content), source))

    def _pixels(self, image: Image.Image) -> np.ndarray:
        image = _eight_bits(image)
        if image.mode == "LAB":  # which PIL knows as no grey
            image = image.convert("RGB")
        image = image.convert(_MODES[self.spec.channels])
        if self.spec.size is not None:
            image = self._fit(image, *self.spec.size)
        return np.asarray(image).reshape(image.height, image.width, -1)

    def _fit(self, image: Image.Image, height: int, width: int) -> Image.Image:
        from PIL import Image

        # The part of the image that has the wanted proportions, `crop` of its sides, around the centre:
        # resizing it in one step is resizing the whole and cropping after.
        scale = min(image.height / height, image.width / width) * self.spec.crop
        # Rounding must not carry it beyond the border.
        rows, columns = min(height * scale, image.height), min(width * scale, image.width)
        top, left = (image.height - rows) / 2, (image.width - columns) / 2
        resample = Image.Resampling[self.spec.interpolation.upper()]
        return image.resize((width, height), resample, box=(left, top, left + columns, top + rows))


def _open(sample: Any) -> Image.Image:
    from PIL import Image

    if isinstance(sample, Image.Image):
        try:
            return _upright(sample)
        except MemoryError:
            raise
        except Exception as error:  # as below: it is decoded only now
            raise InvalidValue(f"The image cannot be read: {error}.") from None
    if isinstance(sample, str | os.PathLike):
        return _read(os.fspath(sample), os.fspath(sample))
    try:
        array = np.asarray(sample)
    except (ValueError, TypeError, RuntimeError):  # lists of unequal length, tensors with gradients
        array = np.empty(0, dtype=object)
    if (
        array.dtype != np.uint8
        or array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in _MODES)
    ):
        raise InvalidValue(
            f"An image is a path, a PIL image, or a uint8 array (H, W) or (H, W, 1, 3 or 4); got "
            f"{type(sample).__name__} of shape {array.shape} and dtype {array.dtype}."
        )
    return Image.fromarray(array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _read(file: str | io.BytesIO, path: str) -> Image.Image:
    """Read an image file, called `path` in messages, and turn it upright, as its camera noted."""
    from PIL import Image, UnidentifiedImageError

    Image.init()
    formats = [name for name in Image.OPEN if name != "EPS"]  # a program, run by Ghostscript
    try:
        with QUIET, Image.open(file, formats=formats) as image:
            return _upright(image)
    except FileNotFoundError:
        raise InvalidValue(f"There is no file {path!r}.") from None
    except IsADirectoryError:
        raise InvalidValue(f"{path!r} is a folder; give an image file.") from None
    except UnidentifiedImageError:
        raise InvalidValue(f"{path!r} is no image file that can be read.") from None
    except MemoryError:
        raise
    except Exception as error:  # of a damaged file PIL's decoders raise whatever comes to hand
        raise InvalidValue(f"The image {path!r} cannot be read: {error}.") from None


def _upright(image: Image.Image) -> Image.Image:
    """Decode an image, and turn it upright, as its camera noted. A note that cannot be read is none."""
    image.load()
    turn = None
    with suppress(Exception), QUIET:
        turn = _turns().get(int(image.getexif()[_ORIENTATION]))
    return image if turn is None else image.transpose(turn)


def _turns() -> dict[int, Image.Transpose]:
    """What turns an image upright, by what is noted: where its first row and column are."""
    from PIL.Image import Transpose

    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }


def _eight_bits(image: Image.Image) -> Image.Image:
    """Bring an image to 8 bits a channel; PIL's own conversion cuts brighter values off."""
    from PIL import Image

    if 0 in image.size:
        raise InvalidValue(f"The image has no pixels: it is {image.width} x {image.height}.")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode not in _CONVERTED:
        raise InvalidValue(
            f"The image has mode {image.mode!r}, whose brightest value is not known. "
            f"Convert it to one of {', '.join(_CONVERTED)} first."
        )
    return image

"""Images: every mode and size becomes the tensor that the model asks for, or is refused."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from zoo import InvalidValue
from zoo.inputs import make_transform
from zoo.inputs.image import QUIET
from zoo.spec import ImageInput


def transformed(sample: Any, **fields: Any) -> torch.Tensor:
    """The sample as a tensor, for an input block with these fields."""
    return make_transform(ImageInput(**{"channels": 3, **fields}))(sample)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16"]
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_mode_is_brought_to_the_channels_of_the_model(mode: str, channels: int) -> None:
    """Finite, in [0, 1], of the asked size."""
    y = transformed(Image.new(mode, (9, 7), 1), channels=channels, size=(4, 6))
    assert y.shape == (channels, 4, 6)
    assert y.dtype == torch.float32
    assert 0 <= y.min() <= y.max() <= 1


def test_colours_arrive_in_their_channel_and_scale() -> None:
    """Red is the first channel, 255 is 1."""
    y = transformed(Image.new("RGB", (2, 2), (255, 0, 51)))
    assert y[:, 0, 0].tolist() == pytest.approx([1, 0, 0.2])


def test_values_are_normalised_by_mean_and_std() -> None:
    """(x - mean) / std, channel by channel."""
    y = transformed(
        Image.new("RGB", (1, 1), (255, 0, 51)), mean=(0.5, 0.5, 0.2), std=(0.5, 0.25, 1)
    )
    assert y.flatten().tolist() == pytest.approx([1, -2, 0])


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    """Half as bright is half as bright, from a file, too."""
    values = np.array([[0, 257 * 51], [257 * 102, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    y = transformed(tmp_path / "x.png", channels=1)
    assert y.flatten().tolist() == pytest.approx([0, 0.2, 0.4, 1])


@pytest.mark.parametrize("mode", ["I", "F", "La"])
def test_modes_without_a_known_scale_are_refused(mode: str) -> None:
    """They would become white or noise without a word."""
    with pytest.raises(
        InvalidValue, match=f"has mode '{mode}', whose brightest value is not known"
    ):
        transformed(Image.new(mode, (3, 3)))


@given(
    st.integers(1, 500),
    st.integers(1, 500),
    st.integers(1, 64),
    st.integers(1, 64),
    st.floats(0.05, 1.0),
)
def test_any_image_is_fitted_to_any_size(
    width: int, height: int, rows: int, columns: int, crop: float
) -> None:
    """Rounding never carries the crop beyond the border."""
    y = transformed(Image.new("L", (width, height)), channels=1, size=(rows, columns), crop=crop)
    assert y.shape == (1, rows, columns)


def test_a_29_pixel_image_is_fitted() -> None:
    """Its middle was once found at a negative position."""
    assert transformed(Image.new("L", (29, 32)), channels=1, size=(28, 28)).shape == (1, 28, 28)


def test_the_centre_is_kept_and_proportions_are_too() -> None:
    """The sides of a wide image are cut off, not squeezed."""
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 255
    y = transformed(pixels, size=(10, 10), interpolation="nearest")
    assert bool((y == 1).all())
    half = transformed(pixels, size=(10, 20), interpolation="nearest", crop=0.5)
    assert bool((half == 1).all())


def test_without_a_size_images_stay_as_they_are() -> None:
    """Height first."""
    assert transformed(np.zeros((5, 7), np.uint8), channels=1).shape == (1, 5, 7)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_arrays_are_taken_as_image_libraries_give_them(shape: tuple[int, ...]) -> None:
    """Grey with or without its axis, colour with or without transparency."""
    assert transformed(np.full(shape, 255, np.uint8)).shape == (3, 5, 7)


@pytest.mark.parametrize(
    "sample",
    [
        np.zeros((3, 5, 7), np.uint8),
        np.zeros((5, 7, 3), np.float32),
        np.zeros((1, 5, 7, 3), np.uint8),
        np.zeros(5, np.uint8),
        [[1], [1, 2]],
        None,
        3,
        b"bytes",
        torch.zeros(3, 5, 7),
        torch.zeros(3, 5, 7, requires_grad=True),
    ],
)
def test_what_is_no_image_is_refused_with_what_is(sample: Any) -> None:
    """Shape and dtype are shown."""
    with pytest.raises(
        InvalidValue, match=r"An image is a path, a PIL image, or a uint8 array .*; got"
    ):
        transformed(sample)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3)])
def test_an_image_without_pixels_is_refused(shape: tuple[int, ...]) -> None:
    """With its size."""
    with pytest.raises(InvalidValue, match=r"The image has no pixels: it is \d x \d"):
        transformed(np.zeros(shape, np.uint8), size=(4, 4))


def test_broken_files_are_refused(tmp_path: Path) -> None:
    """Cut off, of another kind, a folder, absent."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    for name, message in [
        ("cut.png", "cut.png' cannot be read: "),
        ("text.png", "text.png' is no image file that can be read"),
        ("empty.png", "empty.png' is no image file"),
        (".", "' is a folder; give an image file"),
        ("gone.png", "There is no file '.*gone.png'"),
        ("a\0b", "cannot be read: embedded null byte"),
    ]:
        with pytest.raises(InvalidValue, match=message):
            transformed(tmp_path / name)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read")
def test_every_truncation_of_a_file_is_an_error_of_ours_or_an_image(tmp_path: Path) -> None:
    """In each of the common formats."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8))
    for suffix in ("png", "jpg", "gif", "bmp", "webp", "tiff"):
        image.save(tmp_path / f"whole.{suffix}")
        whole = (tmp_path / f"whole.{suffix}").read_bytes()
        for length in range(0, len(whole), max(1, len(whole) // 25)):
            (tmp_path / "cut").write_bytes(whole[:length])
            try:
                y = transformed(tmp_path / "cut")
            except InvalidValue:
                continue
            assert y.shape == (3, 9, 9)


def test_a_model_with_other_channels_has_no_image_transform() -> None:
    """Tensors can still be given to it."""
    with pytest.raises(InvalidValue, match="Images have 1, 3 or 4 channels; this model takes 7"):
        make_transform(ImageInput(channels=7))


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    """The orientation that a camera notes in EXIF is followed."""
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[0] = 255  # the first row is white
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)

    upright = transformed(tmp_path / "photo.png")

    assert upright[0, :, -1].tolist() == [1.0] * 8
    assert upright[0, :, 0].tolist() == [0.0] * 8
    with Image.open(tmp_path / "photo.png") as image:
        assert torch.equal(transformed(image), upright)


def test_a_damaged_note_of_a_camera_is_none(tmp_path: Path) -> None:
    """Whatever else is wrong in it: the pixels are there."""
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    Image.new("RGB", (8, 4), "red").save(tmp_path / "photo.jpg", exif=exif)
    content = (tmp_path / "photo.jpg").read_bytes()
    begin = content.index(b"Exif")
    for at in range(begin + 6, begin + 52):
        for byte in (0, 0xFF):
            (tmp_path / "photo.jpg").write_bytes(content[:at] + bytes([byte]) + content[at + 1 :])
            assert transformed(tmp_path / "photo.jpg").shape in ((3, 4, 8), (3, 8, 4))


def test_an_image_that_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    """One that was opened, and not read yet."""
    Image.effect_noise((64, 64), 50).save(tmp_path / "cut.png")
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with (
        Image.open(tmp_path / "cut.png") as image,
        pytest.raises(InvalidValue, match="The image cannot be read: "),
    ):
        transformed(image)


@pytest.mark.parametrize(
    "error", [RuntimeError, NotImplementedError, TypeError, AttributeError, KeyError]
)
def test_whatever_a_decoder_raises_is_told(
    tmp_path: Path, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of PIL for AVIF, DDS, IM and SPIDER do, of damaged files."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")

    def fail(_image: Image.Image) -> None:
        raise error("broken inside")

    monkeypatch.setattr(PngImageFile, "load", fail)
    with Image.open(tmp_path / "a.png") as opened:
        for sample in (tmp_path / "a.png", opened):
            with pytest.raises(InvalidValue, match=r"cannot be read: .*broken inside"):
                transformed(sample)


def test_a_program_is_no_image(tmp_path: Path) -> None:
    """PostScript, which would be run to be seen, is refused."""
    path = tmp_path / "image.eps"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(InvalidValue, match="is no image file that can be read"):
        transformed(path)


def test_reading_in_threads_leaves_warnings_as_they_were() -> None:
    """Whoever leaves last puts back what was there before the first came; meanwhile only Pillow is silent."""
    before, step = list(warnings.filters), Barrier(2)

    def first() -> None:
        with QUIET:
            step.wait()  # the second has come
            step.wait()
        step.wait()  # and stays when the first has gone

    def second() -> None:
        with QUIET:
            step.wait()
            step.wait()
            step.wait()
            with pytest.warns(UserWarning, match="of ours"):
                warnings.warn("of ours", stacklevel=1)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result(timeout=60)
    assert warnings.filters == before


def test_a_note_that_cannot_be_read_is_no_news(tmp_path: Path) -> None:
    """Pillow warns of it; warnings are errors in these tests."""
    path = tmp_path / "a.jpg"
    Image.new("RGB", (4, 4)).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 9)
    assert transformed(str(path)).shape == (3, 4, 4)

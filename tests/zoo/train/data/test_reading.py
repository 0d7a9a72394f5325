"""From files to splits in memory, and what is found wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, UnidentifiedImageError

import zoo
from zoo.errors import InvalidValue, UnknownName
from zoo.spec import AudioInput, ImageInput, TextInput
from zoo.train.data import image_reading, open_data
from zoo.train.data.dataset import Data
from zoo.train.data.request import DataRequest
from zoo.train.normalization import make_normalization
from zoo.train.recipe import VocabularyRule

MakeFiles = Callable[[Path, Mapping[str, bytes | str]], Path]
TEXTS = "".join(
    f"{'ab'[n % 2]} {'good' if n % 2 else 'bad'} film {'very ' * (n // 2)}{n}\n" for n in range(40)
)


def _open(path: Path, asked: dict[str, Any] | None = None, **options: Any) -> Data:
    return open_data(DataRequest(what=str(path), **options), asked)


def test_images_are_what_the_model_would_see(
    tmp_path: Path,
    make_files: MakeFiles,
    pictures: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pixels of the split, normalised, equal `transform()` of the file, resized and converted alike."""
    monkeypatch.setattr(image_reading, "_PART", 5)  # of 12 in train
    root = make_files(tmp_path / "p", pictures)
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (30, 17, 3), np.uint8)).save(root / "a" / "9.png")
    Image.fromarray(random.integers(0, 256, (9, 40), np.uint8)).save(root / "b" / "9.png")
    data = _open(root, {"kind": "image", "channels": 3, "size": [8, 12]})
    assert isinstance(data.source, ImageInput)
    model = zoo.compose(
        "plain_cnn", input={"kind": "image", **data_fields(data.source)}, num_classes=2
    )
    normalize = make_normalization(data.source)
    for split, names in data.members.items():
        part = data.split(split)
        x = normalize(part[torch.arange(len(part))].x)
        expected = torch.stack([model.transform()(root / name) for name in names])
        assert torch.allclose(x, expected, atol=1e-6)
        assert [data.labels[n] for n in part.labels] == [name[0] for name in names]
    assert "2 images of other sizes" not in data.notes[0]
    assert data.notes[0].startswith("14 images of other sizes (8x8 to 17x30)")
    assert "(13 RGB, 1 L) become 3 channels each" in data.notes[1]


def test_colours_that_a_model_does_not_see_are_told(
    tmp_path: Path,
    make_files: MakeFiles,
    pictures: dict[str, bytes],
    png: Callable[..., bytes],
) -> None:
    """Images in colour for a model of one channel, by name; grey ones are no news."""
    asked = {"kind": "image", "channels": 1}
    coloured = make_files(tmp_path / "p", pictures)
    assert _open(coloured, asked).notes[0] == (
        "12 images stored in colour are made grey, for a model of one channel: "
        "a/0.png, a/1.png, a/2.png, a/3.png, a/4.png and 7 more"
    )
    assert not any("grey" in note for note in _open(coloured).notes)
    greys = {name: png(20 * n, mode="L") for n, name in enumerate(pictures)}
    root = make_files(tmp_path / "g", greys)
    assert not any("grey" in note for note in _open(root, asked).notes)


def data_fields(source: ImageInput) -> dict[str, Any]:
    """The fields of an input block."""
    names = ("channels", "size", "mean", "std")
    return {name: getattr(source, name) for name in names}


def test_size_and_channels_follow_from_the_images(
    tmp_path: Path,
    make_files: MakeFiles,
    pictures: dict[str, bytes],
    png: Callable[..., bytes],
) -> None:
    """Where the model asks for none and all are alike; grey ones have one channel."""
    colour = _open(make_files(tmp_path / "p", pictures)).source
    assert isinstance(colour, ImageInput)
    assert (colour.channels, colour.size) == (3, (8, 8))
    greys = {name: png(20 * n, mode="L") for n, name in enumerate(pictures)}
    grey = _open(make_files(tmp_path / "g", greys)).source
    assert grey.channels == 1
    make_files(tmp_path / "g", {"a/7.png": png(9, width=9, mode="L")})
    with pytest.raises(InvalidValue, match=r"images are of 2 sizes \(8x8 to 9x8\); say one"):
        _open(tmp_path / "g")


@pytest.mark.parametrize("form", ["jpg", "png", "tiff"])
def test_photos_are_measured_upright(tmp_path: Path, form: str) -> None:
    """Portraits that the camera stored lying are of one size with one that was stored upright."""
    random = np.random.default_rng(0)
    for number in range(12):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = number % 8 + 1
        shape = (8, 12, 3) if number % 8 + 1 >= 5 else (12, 8, 3)
        path = tmp_path / "p" / "ab"[number % 2] / f"{number}.{form}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(path, exif=exif)
    data = _open(tmp_path / "p")
    assert isinstance(data.source, ImageInput)
    assert data.source.size == (12, 8)
    assert not any("resized" in note for note in data.notes)


def test_more_images_than_memory_are_refused(
    tmp_path: Path, make_files: MakeFiles, pictures: dict[str, bytes]
) -> None:
    """Before they are read, with what to do."""
    root = make_files(tmp_path / "p", pictures)
    with pytest.raises(
        InvalidValue, match=r"12 images of 900000x900000 need 58320 GB of .* Say a smaller size"
    ):
        _open(root, {"kind": "image", "size": [900_000, 900_000]})


def test_sounds_are_what_the_model_would_see(
    tmp_path: Path, make_files: MakeFiles, sounds: dict[str, bytes]
) -> None:
    """Resampled and cut alike; the sample rate is that of the files where nobody says another."""
    root = make_files(tmp_path / "s", sounds)
    data = _open(root)
    assert data.source == AudioInput(sample_rate=8000)
    halved = _open(root, {"kind": "audio", "sample_rate": 4000, "seconds": 0.004})
    block = {"kind": "audio", "sample_rate": 4000, "seconds": 0.004}
    backbone = {"name": "audio_cnn", "sample_rate": 4000, "widths": [4], "depths": 1, "num_mels": 8}
    transform = zoo.compose(backbone, input=block, num_classes=2).transform()
    part = halved.test
    for number, name in enumerate(halved.members["test"]):
        assert torch.equal(part[torch.tensor([number])].x[0], transform(root / name))
    assert halved.notes[0] == "sounds are resampled to 4000 Hz: 72 of 8000 Hz"


def test_silent_sounds_are_told(
    tmp_path: Path, make_files: MakeFiles, sounds: dict[str, bytes], wav: Callable[..., bytes]
) -> None:
    """By name; others are no news."""
    heard = make_files(tmp_path / "h", {**sounds, "0_ann_0.wav": wav(1)})
    assert not any("silent" in note for note in _open(heard).notes)
    silent = make_files(tmp_path / "s", {**sounds, "0_ann_0.wav": wav(0), "1_bob_9.wav": wav(0)})
    assert _open(silent).notes[0] == (
        "2 sounds are silent, as far as the model hears them: 0_ann_0.wav, 1_bob_9.wav"
    )


def test_texts_are_what_the_model_would_see(tmp_path: Path) -> None:
    """Numbered by a vocabulary of train alone; tokens that only other splits have are unknown."""
    path = tmp_path / "t.all"
    path.write_text(TEXTS)
    data = _open(path)
    assert isinstance(data.source, TextInput)
    lines = dict(enumerate(TEXTS.splitlines(), 1))
    texts = {
        split: [lines[int(name.partition(":")[2])][2:] for name in names]
        for split, names in data.members.items()
    }
    seen = {word for text in texts["train"] for word in text.split()}
    assert set(data.vocabulary) == seen
    model = zoo.compose(
        {"name": "text_cnn", "embedding_dim": 4, "maps": 2},
        input={"kind": "text", "vocabulary": list(data.vocabulary)},
        num_classes=2,
    )
    assert model.spec.input == data.source
    for split, own in texts.items():
        for number, text in enumerate(own):
            batch = data.split(split)[torch.tensor([number])]
            assert torch.equal(batch.x[0], model.transform()(text))
    assert set(" ".join(texts["test"]).split()) - seen


def test_a_vocabulary_is_kept_small_or_as_it_was(tmp_path: Path) -> None:
    """By the recipe's rule; that of a model that there is wins."""
    path = tmp_path / "t.all"
    path.write_text(TEXTS)
    request = DataRequest(what=str(path))
    rule = VocabularyRule(minimum_count=3, most=2)
    assert len(open_data(request, rule=rule).vocabulary) == 2
    assert open_data(request, vocabulary=["film"], rule=rule).vocabulary == ("film",)


def test_unreadable_files_are_refused_or_skipped(
    tmp_path: Path, make_files: MakeFiles, pictures: dict[str, bytes]
) -> None:
    """By name, with the first reason; skipped ones are told."""
    broken = pictures["a/3.png"][:30]
    root = make_files(tmp_path / "p", {**pictures, "a/3.png": broken, "b/9.png": b"no image"})
    with pytest.raises(InvalidValue, match=r"2 of 13 samples cannot be read: a/3.png, b/9.png"):
        _open(root)
    data = _open(root, unreadable="skip")
    assert len(data.train) + len(data.validation) + len(data.test) == 11
    assert "2 of 13 samples cannot be read: a/3.png, b/9.png; they are left out" in data.notes


def test_whatever_a_decoder_raises_of_a_header_is_unreadable(
    tmp_path: Path,
    make_files: MakeFiles,
    pictures: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of PIL raise what comes to hand."""
    root = make_files(tmp_path / "p", {**pictures, "a/3.png": b"no image"})
    true = Image.open

    def open_image(source: Any, *args: Any, **options: Any) -> Image.Image:
        try:
            return true(source, *args, **options)
        except UnidentifiedImageError:
            raise NotImplementedError("broken inside") from None

    monkeypatch.setattr(Image, "open", open_image)
    data = _open(root, unreadable="skip")
    assert "1 of 12 samples cannot be read: a/3.png; it is left out" in data.notes


def test_a_class_that_cannot_be_read_is_refused(
    tmp_path: Path, make_files: MakeFiles, pictures: dict[str, bytes]
) -> None:
    """Skipping must not lose a class silently."""
    root = make_files(tmp_path / "p", {**pictures, "c/1.png": b"no image"})
    with pytest.raises(InvalidValue, match="no sample of class 'c' can be read"):
        _open(root, unreadable="skip")


def test_texts_without_words_are_unreadable(tmp_path: Path) -> None:
    """They have nothing to classify."""
    path = tmp_path / "t.all"
    path.write_text(f"{TEXTS}a \n")
    with pytest.raises(InvalidValue, match=r"1 of 41 samples cannot be read: t.all:41"):
        _open(path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a/1.png": b"x", "a/2.png": b"y"}, "one class only, 'a'"),
        ({"train/a/1.png": b"x", "test/b/1.png": b"y", "train/c/1.png": b"z"}, "cannot be read"),
    ],
)
def test_data_that_cannot_be_learned_from_are_refused(
    tmp_path: Path, make_files: MakeFiles, files: dict[str, bytes | str], message: str
) -> None:
    """With the name of the class."""
    with pytest.raises(InvalidValue, match=message):
        _open(make_files(tmp_path / "p", files))


def test_a_class_that_train_lacks_is_refused(
    tmp_path: Path,
    make_files: MakeFiles,
    pictures: dict[str, bytes],
    png: Callable[..., bytes],
) -> None:
    """It could never be learned."""
    files = {f"train/{name}": content for name, content in pictures.items()}
    with pytest.raises(InvalidValue, match="train has no sample of class 'c'"):
        _open(make_files(tmp_path / "p", {**files, "test/c/1.png": png(7)}))


def test_copies_in_two_splits_are_told(
    tmp_path: Path, make_files: MakeFiles, pictures: dict[str, bytes]
) -> None:
    """By their content, whatever they are called; texts by their words, whatever the case."""
    files = {f"train/{name}": content for name, content in pictures.items()}
    root = make_files(tmp_path / "p", {**files, "test/a/copy.png": pictures["a/1.png"]})
    assert _open(root).notes[0].endswith("is in validation or test, too: train/a/1.png")
    with pytest.raises(InvalidValue, match="--leaks drop"):
        _open(root, leaks="refuse")
    make_files(tmp_path / "t", {"train.txt": TEXTS, "test.txt": "a BAD  film 0\nb x"})
    assert "1 sample of train is" in _open(tmp_path / "t").notes[0]


def test_data_of_another_kind_are_refused(
    tmp_path: Path, make_files: MakeFiles, sounds: dict[str, bytes]
) -> None:
    """Before they are read."""
    root = make_files(tmp_path / "s", sounds)
    with pytest.raises(
        InvalidValue, match=r"takes images, but the data 's' are sounds\. Give it images, or take"
    ):
        _open(root, {"kind": "image", "channels": 3})


def test_the_sample_rate_is_not_that_of_the_first_files(
    tmp_path: Path, make_files: MakeFiles, wav: Callable[..., bytes]
) -> None:
    """The first twenty by name are of one class, which was recorded elsewhere."""
    files = {f"a/{n:02}.wav": wav(n, rate=4000) for n in range(20)}
    files |= {f"{label}/{n}.wav": wav(n + 99, rate=8000) for label in "bcdef" for n in range(20)}
    data = _open(make_files(tmp_path / "s", files))
    assert data.source == AudioInput(sample_rate=8000)
    assert any("resampled to 8000 Hz: 20 of 4000 Hz" in note for note in data.notes)


def test_files_that_are_no_sounds_give_no_sample_rate(
    tmp_path: Path, make_files: MakeFiles
) -> None:
    """Those that were tried are counted."""
    root = make_files(tmp_path / "s", {f"{label}/1.wav": "no sound" for label in "ab"})
    with pytest.raises(InvalidValue, match=r"s: none of 2 files tried is a sound\."):
        _open(root)


def test_unknown_data_and_folders_are_refused(tmp_path: Path) -> None:
    """The near miss is named, and the folder that is none."""
    with pytest.raises(UnknownName, match=r"no file or folder 'mnits'. Did you mean 'mnist'"):
        open_data(DataRequest(what="mnits"))
    with pytest.raises(InvalidValue, match="nowhere' is no folder"):
        open_data(DataRequest(what="mnist", root=str(tmp_path / "nowhere")))
    with pytest.raises(InvalidValue, match="mnist is the name of a data set; say with --root"):
        open_data(DataRequest(what="mnist"))
    with pytest.raises(
        InvalidValue, match=r"--root is for the names .*mnist.*, but --data is a path"
    ):
        open_data(DataRequest(what=str(tmp_path), root=str(tmp_path)))
    with pytest.raises(InvalidValue, match="--hold-out 'jackson' is not of the form KEY=VALUE"):
        open_data(DataRequest(what="mnist", root=str(tmp_path), hold_out="jackson"))


def test_data_that_are_only_measured_on_need_not_be_divided(
    tmp_path: Path, make_files: MakeFiles, png: Callable[..., bytes], wav: Callable[..., bytes]
) -> None:
    """A class may have one sample; all are together, in their order."""
    images = make_files(tmp_path / "p", {"a/1.png": png(1), "b/1.png": png(2)})
    sounds = make_files(tmp_path / "s", {"a/1.wav": wav(1), "b/1.wav": wav(2)})
    texts = make_files(tmp_path, {"t.txt": "a one\nb two\n"}) / "t.txt"
    for path in (images, sounds, texts):
        request = DataRequest(what=str(path))
        with pytest.raises(InvalidValue, match="1 different sample, too few"):
            open_data(request)
        data = open_data(request, divided=False)
        assert data.labels == ("a", "b")
        assert data.train.labels.tolist() == [0, 1]
        assert (len(data.validation), len(data.test)) == (0, 0)
        assert data.digests == data.members == {}

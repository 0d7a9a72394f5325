"""What lies at a path, told by looking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from zoo.errors import InvalidValue
from zoo.train.data.paths import FORMS, at_path, name_at
from zoo.train.data.request import DataRequest

MakeFiles = Callable[[Path, Mapping[str, bytes | str]], Path]
REQUEST = DataRequest(what="x")


def _labels(path: Path) -> set[str]:
    return {item.label for item in at_path(path, REQUEST).items}


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"a/1.png": b"", "b/2.png": b""}, "image"),
        ({"a/1.wav": b"", "b/2.wav": b""}, "audio"),
        ({"a_x_1.wav": b"", "b_y_2.wav": b""}, "audio"),
        ({"train.csv": "text,label\nx,a\ny,b", "test.csv": "text,label\nz,b"}, "text"),
    ],
)
def test_folders_are_told_by_their_files(
    tmp_path: Path, make_files: MakeFiles, files: dict[str, bytes | str], kind: str
) -> None:
    """Each of the forms; the name is that of the folder, fit for the name of a figure."""
    listing = at_path(make_files(tmp_path / "My Data", files), REQUEST)
    assert (listing.name, listing.kind) == ("my-data", kind)
    assert {item.label for item in listing.items} == {"a", "b"}


def test_text_files_may_be_named_by_split(tmp_path: Path, make_files: MakeFiles) -> None:
    """In a folder, beside files of other names."""
    files = {"train.tsv": "text\tlabel\nx\ta", "dev.txt": "b y", "readme.txt": "nothing"}
    items = at_path(make_files(tmp_path / "d", files), REQUEST).items
    assert [(item.split, item.label) for item in items] == [("validation", "b"), ("train", "a")]


def test_single_files_are_told_by_their_content(
    tmp_path: Path, make_files: MakeFiles, make_tar: MakeFiles
) -> None:
    """An archive by its form, a table by its ending, other texts by having no zero bytes."""
    make_files(tmp_path, {"a.csv": "text,label\nx,a\ny,b", "b.all": "a x\nb y"})
    make_tar(tmp_path / "c.data", {"top/a/1.png": b"", "top/b/1.png": b""})
    assert [at_path(tmp_path / name, REQUEST).kind for name in ("a.csv", "b.all", "c.data")] == [
        "text",
        "text",
        "image",
    ]
    assert _labels(tmp_path / "c.data") == {"a", "b"}


@pytest.mark.parametrize(
    ("files", "what", "message"),
    [
        ({"d/x.doc": b""}, "d", r"holds no images, sounds or texts \(1 file\)"),
        ({"d/train/x.doc": b""}, "d", "holds no images, sounds or texts"),
        ({"x.bin": b"\0\1"}, "x.bin", "neither a folder, nor an archive, nor a text"),
        ({"x.md": "\n".join(f"word{n} and" for n in range(30))}, "x.md", "30 texts would be of 30"),
    ],
)
def test_what_is_unclear_is_refused(
    tmp_path: Path,
    make_files: MakeFiles,
    files: dict[str, bytes | str],
    what: str,
    message: str,
) -> None:
    """With all forms that data may have, each on a line."""
    make_files(tmp_path, files)
    with pytest.raises(InvalidValue, match=message) as caught:
        at_path(tmp_path / what, REQUEST)
    assert str(caught.value).splitlines()[1:] == [f"    {form}" for form in FORMS]


def test_an_empty_class_folder_is_named(tmp_path: Path, make_files: MakeFiles) -> None:
    """Below a split, too."""
    images = ("p/a/1.png", "q/train/a/1.png", "q/test/a/1.png", "r/Train/a/1.png", "r/Test/a/1.png")
    make_files(tmp_path, dict.fromkeys(images, b""))
    make_files(tmp_path / "p", {"__MACOSX/a/._1.png": b""})  # what zip files of a Mac leave
    for folder in ("p/b", "q/test/b", "r/Test/b"):
        (tmp_path / folder).mkdir()
    for name, folder in (("p", "p/b"), ("q", "q/test/b"), ("r", "r/Test/b")):
        with pytest.raises(InvalidValue, match=rf"class folder '.*{folder}' is empty"):
            at_path(tmp_path / name, REQUEST)


def test_a_class_folder_may_be_a_link(tmp_path: Path, make_files: MakeFiles) -> None:
    """All of them or some: what it leads to is not empty."""
    make_files(tmp_path, {"store/b/1.png": b"", "d/a/2.png": b""})
    (tmp_path / "d" / "b").symlink_to(tmp_path / "store" / "b")
    assert _labels(tmp_path / "d") == {"a", "b"}


def test_options_of_another_kind_are_refused(tmp_path: Path, make_files: MakeFiles) -> None:
    """Columns of a folder of images, and a speaker of texts."""
    make_files(tmp_path, {"p/a/1.png": b"", "t.csv": "text,label\nx,a"})
    with pytest.raises(InvalidValue, match="--text names a column of a table"):
        at_path(tmp_path / "p", DataRequest(what="x", text="review"))
    with pytest.raises(InvalidValue, match="--hold-out is for sounds"):
        at_path(tmp_path / "t.csv", DataRequest(what="x", hold_out="speaker=ann"))


def test_a_text_without_an_ending_may_be_utf_16(tmp_path: Path) -> None:
    """Its zero bytes make it no binary file: its first bytes say what it is."""
    (tmp_path / "sentences").write_bytes("a très bien\nb mal\n".encode("utf-16"))
    listing = at_path(tmp_path / "sentences", REQUEST)
    assert [item.content for item in listing.items] == ["très bien", "mal"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("photos", "photos"),
        ("My Photos", "my-photos"),
        ("photos.2023/", "photos-2023"),
        ("photos.tar.gz", "photos"),
        ("photos.v2.tgz", "photos-v2"),
        ("reviews.csv", "reviews"),
        ("mnist", "own-mnist"),
        ("CIFAR10.tar", "own-cifar10"),
        ("Крупные_Кошки", "крупные-кошки"),
        ("...", "data"),
    ],
)
def test_data_are_called_by_their_path(tmp_path: Path, path: str, name: str) -> None:
    """But never as a data set that others know: figures of one would pass for those of the other."""
    if path.endswith("/"):
        (tmp_path / path).mkdir()
    assert name_at(tmp_path / path) == name

"""Labels and splits from the paths of files."""

from __future__ import annotations

import errno
import os
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import pytest

from zoo.errors import InvalidValue
from zoo.train.data.folders import File, find_files, list_files, spoken_part

MakeFiles = Callable[[Path, Mapping[str, bytes | str]], Path]


def _list(
    *paths: str, hold_out: tuple[str, str] | None = None
) -> dict[str, tuple[str, str | None]]:
    files = [File(PurePosixPath(path), b"") for path in paths]
    return {i.name: (i.label, i.split) for i in list_files("x", files, hold_out=hold_out).items}


def test_the_folder_is_the_class() -> None:
    """The first one, however deep the file."""
    found = _list("cat/1.jpg", "dog/deep/2.PNG")
    assert found == {"cat/1.jpg": ("cat", None), "dog/deep/2.PNG": ("dog", None)}


@pytest.mark.parametrize("word", ["validation", "val", "valid", "dev"])
def test_folders_above_the_classes_are_splits(word: str) -> None:
    """By any of their usual names."""
    found = _list("train/cat/1.jpg", f"{word}/cat/2.jpg", "test/dog/3.jpg")
    assert [split for _, split in found.values()] == ["train", "validation", "test"]
    assert [label for label, _ in found.values()] == ["cat", "cat", "dog"]


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("TRAINING", "testing")])
def test_names_of_splits_may_be_written_otherwise(train: str, test: str) -> None:
    """In capitals, or as training and testing; the splits are the same."""
    found = _list(f"{train}/cat/1.jpg", f"{train}/dog/2.jpg", f"{test}/cat/3.jpg")
    assert list(found.values()) == [("cat", "train"), ("dog", "train"), ("cat", "test")]


def test_a_class_may_be_called_like_a_split() -> None:
    """As long as not all are, and the files are right in it."""
    found = _list("train/1.jpg", "train/steam/2.jpg", "car/3.jpg")
    assert [label for label, _ in found.values()] == ["train", "train", "car"]


def test_names_of_sounds_say_label_speaker_and_index() -> None:
    """A speaker's name may have the separator in it."""
    found = _list("7_cy_d_12.wav", "zero_ann_0.wav")
    assert found == {"7_cy_d_12.wav": ("7", None), "zero_ann_0.wav": ("zero", None)}
    files = [File(PurePosixPath("7_cy_d_12.wav"), b"")]
    (item,) = list_files("x", files, hold_out=None).items
    assert [spoken_part(item, part) for part in ("speaker", "index")] == ["cy_d", "12"]


def test_a_speaker_is_held_out() -> None:
    """All that one says is the test."""
    found = _list("1_ann_0.wav", "1_bob_0.wav", "2_ann_1.wav", hold_out=("speaker", "ann"))
    assert Counter(split for _, split in found.values()) == {"test": 2, None: 1}


@pytest.mark.parametrize(
    ("paths", "hold_out", "message"),
    [
        (["a/1.jpg", "b/2.wav"], None, "x holds 1 image and 1 sound; give one kind"),
        (["a/1.doc"], None, "x holds no images .* and no sounds"),
        (["1.jpg", "a/2.jpg"], None, "1.jpg lies in no class folder"),
        (["1.jpg", "2.jpg"], None, "1.jpg lies in no class folder"),
        (["hello.wav"], None, "hello.wav does not say its class"),
        (
            ["Train/a/1.jpg", "test/b/2.jpg", "raw/3.jpg", "more/a/4.jpg"],
            None,
            "x: Train, test hold class folders.* raw, more would be classes. Move raw, more elsewhere",
        ),
        (["1_ann_0.wav"], ("speaker", "bob"), "no speaker 'bob'; there are ann"),
        (
            ["1_ann_0.wav"],
            ("fold", "3"),
            "no 'fold' to hold out here; give speaker=NAME, one of ann",
        ),
        (["a/1.jpg"], ("speaker", "bob"), "of which there are none here; leave --hold-out out"),
    ],
)
def test_what_cannot_be_told_is_refused(
    paths: list[str], hold_out: tuple[str, str] | None, message: str
) -> None:
    """The message names the file and the form expected."""
    with pytest.raises(InvalidValue, match=message):
        _list(*paths, hold_out=hold_out)


def test_other_files_are_told_and_hidden_ones_are_not(
    tmp_path: Path, make_files: MakeFiles
) -> None:
    """A note names what is left out."""
    files = {"cat/1.png": b"", "cat/notes.txt": b"", ".DS_Store": b"", "dog/.x/2.png": b""}
    make_files(tmp_path, files)
    listing = list_files("x", find_files(tmp_path), hold_out=None)
    assert [item.name for item in listing.items] == ["cat/1.png"]
    assert listing.notes == ("1 other file is left out: cat/notes.txt",)


def test_an_archive_is_read_like_its_folder(
    tmp_path: Path, make_files: MakeFiles, make_tar: MakeFiles
) -> None:
    """The same names and contents, with or without a folder around everything."""
    files = {"cat/1.png": b"one", "dog/2.png": b"two"}
    make_files(tmp_path / "plain", files)
    make_tar(tmp_path / "a.tar.gz", files)
    make_tar(tmp_path / "b.tgz", {f"top/{name}": content for name, content in files.items()})
    plain = [
        (file.path, Path(str(file.content)).read_bytes()) for file in find_files(tmp_path / "plain")
    ]
    for name in ("a.tar.gz", "b.tgz"):
        assert [(file.path, file.content) for file in find_files(tmp_path / name)] == plain


def test_links_in_an_archive_are_the_files_they_lead_to(
    tmp_path: Path, make_files: MakeFiles
) -> None:
    """In it files with several names are links, too."""
    make_files(tmp_path / "d", {"cat/1.png": b"one", "pool/5.png": b"two", "dog/0.png": b"three"})
    (tmp_path / "d/cat/2.png").symlink_to("../pool/5.png")
    (tmp_path / "d/dog/3.png").symlink_to("../cat/2.png")
    (tmp_path / "d/dog/4.png").hardlink_to(tmp_path / "d/cat/1.png")
    (tmp_path / "d/.cache").symlink_to("/var/cache")
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        archive.add(tmp_path / "d", "d")
        archive.addfile(tarfile.TarInfo("."))  # a file without a name is none
    found = {str(file.path): file.content for file in find_files(tmp_path / "d.tar")}
    assert found == {
        "cat/1.png": b"one",
        "cat/2.png": b"two",
        "dog/0.png": b"three",
        "dog/3.png": b"two",
        "dog/4.png": b"one",
        "pool/5.png": b"two",
    }


@pytest.mark.parametrize("target", ["/etc/hostname", "../../1.png", "../cat", "1.png"])
def test_links_out_of_an_archive_are_refused(
    tmp_path: Path, make_files: MakeFiles, target: str
) -> None:
    """As those to folders, and to themselves: what they lead to is not read, and they are not left out in silence."""
    make_files(tmp_path / "d", {"cat/0.png": b"one"})
    (tmp_path / "d/cat/1.png").symlink_to(target)
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        archive.add(tmp_path / "d", "d")
    with pytest.raises(InvalidValue, match=r"cat/1\.png is a link to .* Pack the files themselves"):
        find_files(tmp_path / "d.tar")


def test_an_archive_that_is_damaged_inside_is_told(tmp_path: Path, make_files: MakeFiles) -> None:
    """Its beginning is sound, so that it is known for one."""
    make_files(tmp_path / "d", {"cat/1.png": os.urandom(100_000).hex()})
    path = tmp_path / "a.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        archive.add(tmp_path / "d", "d")
    content = bytearray(path.read_bytes())
    content[50_000:50_400] = bytes(400)
    path.write_bytes(content)
    with pytest.raises(
        InvalidValue, match=r"a\.tar\.xz cannot be read as a tar file: Corrupt input"
    ):
        find_files(path)


def test_links_to_folders_are_followed(tmp_path: Path, make_files: MakeFiles) -> None:
    """A data set may be put together from folders elsewhere; a link back up is no end of folders."""
    make_files(
        tmp_path, {"store/many/1.png": b"", "store/many/deep/2.png": b"", "d/dog/3.png": b""}
    )
    (tmp_path / "d" / "cat").symlink_to(tmp_path / "store" / "many")
    (tmp_path / "d" / "dog" / "again").symlink_to(tmp_path / "d")
    found = [str(file.path) for file in find_files(tmp_path / "d")]
    assert found == ["cat/1.png", "cat/deep/2.png", "dog/3.png"]


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, make_files: MakeFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its samples are not left out silently."""
    make_files(tmp_path, {"cat/1.png": b"", "dog/2.png": b""})
    listed = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "dog":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(InvalidValue, match="dog cannot be read: Permission denied"):
        find_files(tmp_path)

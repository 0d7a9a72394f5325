"""Spoken digits, by their files' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from zoo.errors import InvalidValue
from zoo.train.data.fsdd import list_fsdd
from zoo.train.data.request import DataRequest

MakeFiles = Callable[[Path, Mapping[str, bytes | str]], Path]


def _splits(root: Path, **options: str) -> tuple[str, dict[str | None, set[str]]]:
    listing = list_fsdd(root, DataRequest(what="fsdd", **options))
    splits: dict[str | None, set[str]] = {}
    for item in listing.items:
        splits.setdefault(item.split, set()).add(item.name)
    return listing.name, splits


def test_the_index_tells_the_split(
    tmp_path: Path, make_tar: MakeFiles, make_files: MakeFiles, sounds: dict[str, bytes]
) -> None:
    """0 to 4 are the test, 5 to 9 validation; in the archive as in a folder."""
    make_tar(tmp_path / "recordings.tar.gz", {f"recordings/{n}": c for n, c in sounds.items()})
    name, splits = _splits(tmp_path)
    assert name == "fsdd"
    assert {split: len(names) for split, names in splits.items()} == {
        "test": 30,
        "validation": 30,
        "train": 12,
    }
    assert "1_cy_d_11.wav" in splits["train"]
    make_files(tmp_path / "b" / "recordings", sounds)
    assert _splits(tmp_path / "b") == (name, splits)


def test_a_speaker_is_held_out(
    tmp_path: Path, make_files: MakeFiles, sounds: dict[str, bytes]
) -> None:
    """All that one says is the test, and of the others only the validation is set apart."""
    name, splits = _splits(make_files(tmp_path, sounds), hold_out="speaker=bob")
    assert name == "fsdd-speaker-bob"
    assert splits["test"] == {name for name in sounds if "_bob_" in name}
    assert len(splits["validation"]) == 20
    assert len(splits["train"]) == 28


def test_what_is_no_recording_is_refused(tmp_path: Path, make_files: MakeFiles) -> None:
    """No files at all, and a class that is no digit."""
    with pytest.raises(InvalidValue, match=r"neither recordings.tar.gz nor a folder recordings"):
        _splits(tmp_path)
    make_files(tmp_path, {"0_a_1.wav": b"", "hello.wav": b""})
    with pytest.raises(InvalidValue, match=r"hello.wav does not say its class"):
        _splits(tmp_path)

"""Digests of large files: remembered while the file is the same, and not a moment longer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from zoo import Registry
from zoo.registry import index
from zoo.registry.private import private_folder
from zoo.registry.recall import Recall

DIGEST = "0a" * 32


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as large."""
    monkeypatch.setattr("zoo.registry.recall.LARGE", 10)
    path = tmp_path / "large.yaml"
    path.write_bytes(b"0123456789")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private folder."""
    return private_folder(tmp_path / "index")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some seconds have passed since the file was written."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 5)


def recalled(file: Path, folder: Path) -> str | None:
    """What is known of a file."""
    with open(file, "rb") as opened:
        return Recall(opened, folder).digest()


def note(file: Path, folder: Path) -> None:
    """Remember its digest."""
    with open(file, "rb") as opened:
        Recall(opened, folder).remember(DIGEST)


def test_what_was_remembered_is_recalled(file: Path, folder: Path, later: None) -> None:
    """Nothing is before."""
    assert recalled(file, folder) is None
    note(file, folder)
    assert recalled(file, folder) == DIGEST
    assert [path.suffix for path in folder.iterdir()] == [".digest"]


def test_a_change_that_keeps_size_and_time_is_seen(file: Path, folder: Path, later: None) -> None:
    """Programs can set the time at which they wrote, and not that at which the system did."""
    note(file, folder)
    before = file.stat()
    time.sleep(0.02)  # the clock of a file system ticks some hundred times a second
    file.write_bytes(b"9876543210")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert recalled(file, folder) is None


def test_a_change_while_it_is_read_is_seen(file: Path, folder: Path, later: None) -> None:
    """What is remembered is the file as it was before."""
    with open(file, "rb") as opened:
        before = Recall(opened, folder)
        time.sleep(0.02)
        file.write_bytes(b"9876543210")
        before.remember(DIGEST)
    assert recalled(file, folder) is None


def test_another_file_in_its_place_is_another(file: Path, folder: Path, later: None) -> None:
    """Even with the same bytes."""
    note(file, folder)
    file.rename(file.with_name("old"))
    file.write_bytes(b"0123456789")
    assert recalled(file, folder) is None


def test_a_file_that_was_just_written_is_not_remembered(file: Path, folder: Path) -> None:
    """It could be written once more before the clock ticks; nor is one from the future."""
    note(file, folder)
    os.utime(file, (time.time() + 1e6, time.time() + 1e6))
    note(file, folder)
    assert list(folder.iterdir()) == []


def test_a_small_file_is_not_remembered(file: Path, folder: Path, later: None) -> None:
    """Hashing it is quicker."""
    os.truncate(file, 9)
    note(file, folder)
    assert list(folder.iterdir()) == []


def test_a_note_that_others_could_have_written_is_not_believed(
    file: Path, folder: Path, later: None
) -> None:
    """Nor one that says no digest."""
    note(file, folder)
    (written,) = folder.iterdir()
    written.chmod(0o666)
    assert recalled(file, folder) is None
    written.chmod(0o600)
    written.write_bytes(b"../elsewhere")
    assert recalled(file, folder) is None


def test_an_index_is_opened_without_reading_the_registry(
    make_registry: Callable[..., Registry],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    later: None,
) -> None:
    """From the second look on; where the index is gone, it is made again from what is there."""
    monkeypatch.setattr("zoo.registry.recall.LARGE", 10)
    root = make_registry(a_net={"1.0.0": {}}).root
    assert Registry(root).index.names() == ["a_net"]
    with mock.patch.object(index, "_digest", side_effect=AssertionError("hashed again")):
        assert Registry(root).index.names() == ["a_net"]
    for kept in (cache / f"index-{os.geteuid()}").glob("*.sqlite"):
        kept.unlink()
    assert Registry(root).index.names() == ["a_net"]

"""Blobs: read only as the bytes that were published."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from zoo import DigestMismatch, WeightsError
from zoo.store import blob_path, cache_folder, read_blob

CONTENT = bytes(range(256)) * 4
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A registry's folder with one blob."""
    path = blob_path(tmp_path, SHA256)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return tmp_path


def test_a_blob_stands_where_its_digest_says(tmp_path: Path) -> None:
    """And nothing else has a say."""
    assert blob_path(tmp_path, SHA256) == tmp_path / "blobs" / "sha256" / SHA256[:2] / SHA256


def test_the_bytes_that_were_published_are_returned(root: Path) -> None:
    """In memory that tensors may share, so it can be written to."""
    content = read_blob(root, SHA256, len(CONTENT))
    assert content == CONTENT
    assert not memoryview(content).readonly


@pytest.mark.parametrize("position", [0, 511, 1023])
def test_one_flipped_bit_is_refused(root: Path, position: int) -> None:
    """At the beginning, in the middle, at the end."""
    damaged = bytearray(CONTENT)
    damaged[position] ^= 1
    blob_path(root, SHA256).write_bytes(damaged)
    with pytest.raises(
        DigestMismatch, match=r"is damaged: 1024 bytes with sha256 .*published were"
    ):
        read_blob(root, SHA256, len(CONTENT))


@pytest.mark.parametrize("length", [0, 1, 1023])
def test_a_truncated_blob_is_refused(root: Path, length: int) -> None:
    """With both sizes in the message."""
    blob_path(root, SHA256).write_bytes(CONTENT[:length])
    with pytest.raises(DigestMismatch, match=f"is damaged: {length} bytes .*published were 1024"):
        read_blob(root, SHA256, len(CONTENT))


def test_a_blob_that_is_too_long_is_not_even_read(root: Path) -> None:
    """Its size says enough."""
    with open(blob_path(root, SHA256), "ab") as file:
        file.truncate(2**40)  # sparse: reading it would take for ever
    with pytest.raises(WeightsError, match=r"has 1099511627776 bytes; expected at most 1024"):
        read_blob(root, SHA256, len(CONTENT))


def test_the_size_must_be_the_published_one_even_if_the_digest_is(root: Path) -> None:
    """A registry that contradicts itself is not believed."""
    with pytest.raises(DigestMismatch, match="is damaged: 1024 bytes"):
        read_blob(root, SHA256, len(CONTENT) + 1)


def test_a_blob_that_is_not_there_is_named(tmp_path: Path) -> None:
    """By its digest, and with the folder."""
    with pytest.raises(WeightsError, match=f"sha256:{SHA256} are not in {tmp_path}"):
        read_blob(tmp_path, SHA256, 1)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """ZOO_CACHE first, then the user's cache, then the home."""
    monkeypatch.setenv("ZOO_CACHE", "/a/b")
    assert cache_folder() == Path("/a/b")
    monkeypatch.delenv("ZOO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/zoo")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert cache_folder() == Path("/h/.cache/zoo")

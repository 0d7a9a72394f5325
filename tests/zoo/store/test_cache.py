"""The cache: what is found, what is deleted by age, and what is reported as damaged."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from zoo import FetchError, InvalidValue
from zoo.errors import NotFound
from zoo.store import blob_path, offline
from zoo.store.cache import Cache, default_cache, file_digest

CONTENT = b"content" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def put(root: Path, content: bytes = CONTENT, *, age: float = 0, name: str | None = None) -> Path:
    """Put a blob into a folder, last used so many seconds ago."""
    path = blob_path(root, name or hashlib.sha256(content).hexdigest())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_blob_is_found_by_digest_and_size(tmp_path: Path) -> None:
    """One of another size is not it."""
    path = put(tmp_path)
    cache = Cache(tmp_path)
    assert cache.find(SHA256) == path
    assert cache.find(SHA256, len(CONTENT)) == path
    assert cache.find(SHA256, len(CONTENT) + 1) is None
    assert cache.find("0" * 64) is None


def test_read_roots_come_after_the_folder_that_is_written_to(tmp_path: Path) -> None:
    """In their order; those that are not there are passed over."""
    cache = Cache(tmp_path / "own", [tmp_path / "gone", tmp_path / "team", tmp_path / "other"])
    other = put(tmp_path / "other")
    assert cache.find(SHA256) == other
    team = put(tmp_path / "team")
    assert cache.find(SHA256) == team
    own = put(tmp_path / "own")
    assert cache.find(SHA256) == own
    own.write_bytes(b"cut off")
    assert cache.find(SHA256, len(CONTENT)) == team


def test_a_read_root_may_hold_links(tmp_path: Path) -> None:
    """Somebody else keeps it, in his own way; the bytes are verified when they are read."""
    (tmp_path / "file").write_bytes(CONTENT)
    path = blob_path(tmp_path / "team", SHA256)
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "file")
    assert Cache(tmp_path / "own", [tmp_path / "team"]).find(SHA256) == path
    assert Cache(tmp_path / "team").find(SHA256) is None


@pytest.mark.parametrize(
    "digest", ["", "../" * 20 + "etc/passwd", "0" * 63, "A" * 64, "0" * 64 + "\n"]
)
def test_what_is_no_digest_names_no_file(tmp_path: Path, digest: str) -> None:
    """Whatever an index or a server says."""
    with pytest.raises(InvalidValue, match="is no sha256: 64 hexadecimal digits"):
        Cache(tmp_path).find(digest)


def test_the_default_cache_reads_what_the_environment_lists(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty entries mean nothing, least of all the folder at hand."""
    monkeypatch.setenv("ZOO_CACHE_READ", f"{tmp_path}/a{os.pathsep}{os.pathsep}~/b")
    monkeypatch.setenv("HOME", "/home/me")
    found = default_cache()
    assert found.root == cache
    assert found.read_roots == (tmp_path / "a", Path("/home/me/b"))
    monkeypatch.delenv("ZOO_CACHE_READ")
    assert default_cache().read_roots == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("yes", True), ("TRUE", True), ("", False), ("0", False), ("False", False)],
)
def test_the_network_is_switched_off_by_the_environment(
    value: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By any word that is not a no."""
    monkeypatch.setenv("ZOO_OFFLINE", value)
    assert offline() is expected


def test_the_network_is_on_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing set means nothing forbidden."""
    monkeypatch.delenv("ZOO_OFFLINE", raising=False)
    assert not offline()


def test_a_finished_file_is_moved_in(tmp_path: Path) -> None:
    """It takes the place of whatever has its name."""
    (tmp_path / "file").write_bytes(CONTENT)
    put(tmp_path / "cache", b"damaged", name=SHA256)
    cache = Cache(tmp_path / "cache")
    assert cache.add(tmp_path / "file", SHA256).read_bytes() == CONTENT
    with pytest.raises(NotFound, match="file was deleted meanwhile"):
        cache.add(tmp_path / "file", SHA256)


def test_a_folder_in_place_of_a_blob_is_an_error(tmp_path: Path) -> None:
    """It is left to whoever made it."""
    (tmp_path / "file").write_bytes(CONTENT)
    blob_path(tmp_path, SHA256).mkdir(parents=True)
    with pytest.raises(FetchError, match="cannot be written to: Is a directory"):
        Cache(tmp_path).add(tmp_path / "file", SHA256)
    with pytest.raises(FetchError, match="cannot be written to: Is a directory"):
        Cache(tmp_path).remove(SHA256)


def test_all_blobs_are_listed_and_nothing_else(tmp_path: Path) -> None:
    """Files of other names, at other places, and links are none of ours."""
    put(tmp_path)
    put(tmp_path, b"other")
    folder = tmp_path / "blobs" / "sha256" / SHA256[:2]
    (folder / ("0" * 64)).write_bytes(b"in the wrong folder")
    (folder / f".{SHA256}.tmp").write_bytes(b"")
    (folder / (SHA256[:2] + "0" * 62)).symlink_to(tmp_path)
    found = list(Cache(tmp_path).blobs())
    assert [blob.sha256 for blob in found] == sorted([SHA256, hashlib.sha256(b"other").hexdigest()])
    assert {blob.size for blob in found} == {len(CONTENT), 5}


def test_pruning_goes_by_age(tmp_path: Path) -> None:
    """Of blobs, unfinished files and locks alike."""
    old, new = put(tmp_path, age=100), put(tmp_path, b"other", age=10)
    future = put(tmp_path, b"future", age=-(10**9))
    cache = Cache(tmp_path)
    cache.partial_folder.mkdir()
    for name, age in (("a.part", 100), ("a.lock", 100), ("b.part", 10), ("b.lock", 10)):
        (cache.partial_folder / name).touch()
        os.utime(cache.partial_folder / name, (time.time() - age,) * 2)
    assert [blob.path for blob in cache.prune(50)] == [old]
    assert (old.exists(), new.exists(), future.exists()) == (False, True, True)
    assert sorted(os.listdir(cache.partial_folder)) == ["b.lock", "b.part"]


def test_a_blob_that_was_read_lately_is_not_old(tmp_path: Path) -> None:
    """Where the file system keeps that."""
    path = put(tmp_path, age=100)
    os.utime(path, (time.time(), time.time() - 100))
    assert Cache(tmp_path).prune(50) == []


def test_pruning_never_touches_read_roots(tmp_path: Path) -> None:
    """They are somebody else's."""
    put(tmp_path / "team", age=100)
    cache = Cache(tmp_path / "own", [tmp_path / "team"])
    assert cache.prune(0) == []
    assert cache.find(SHA256) is not None


def test_pruning_a_cache_that_is_not_there(tmp_path: Path) -> None:
    """It deletes nothing and makes nothing."""
    assert Cache(tmp_path / "gone").prune(0) == []
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("position", [0, 3500, 6999])
def test_one_flipped_bit_is_found_by_hashing_all(tmp_path: Path, position: int) -> None:
    """And only the blob that has it is named."""
    put(tmp_path, b"other")
    damaged = bytearray(CONTENT)
    damaged[position] ^= 1
    path = put(tmp_path, bytes(damaged), name=SHA256)
    ((blob, problem),) = Cache(tmp_path).damaged()
    assert blob.path == path
    assert problem == f"its bytes have sha256 {hashlib.sha256(damaged).hexdigest()}"


def test_read_roots_are_hashed_on_request(tmp_path: Path) -> None:
    """They may be large."""
    put(tmp_path / "team", b"damaged", name=SHA256)
    cache = Cache(tmp_path / "own", [tmp_path / "team"])
    assert list(cache.damaged()) == []
    assert [blob.sha256 for blob, _ in cache.damaged(read_roots=True)] == [SHA256]


def test_a_blob_that_cannot_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk with a bad sector; the others are hashed still."""
    put(tmp_path)

    def fail(path: Path) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("zoo.store.cache.file_digest", fail)
    ((_, problem),) = Cache(tmp_path).damaged()
    assert problem == "cannot be read: Input/output error"


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path, size: int) -> None:
    """Whether it is a whole number of pieces or not."""
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert file_digest(tmp_path / "file") == hashlib.sha256(content).hexdigest()

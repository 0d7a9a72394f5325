"""Lock files: what is written is read, and anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo import RegistryError, UnknownName
from zoo.refs import Ref
from zoo.registry.lock import Locked, lock_text, locked_versions, read_lock

ONE = Locked("a_net", "1.0.0", "0" * 63 + "1", 7, "tests")
TWO = Locked("b_net", "2.0.0-rc1", "12" * 32, 0, "null")
OTHER = Locked("a_net", "3.1.4", "ab" * 32, 9, "others")


def written(path: Path, text: str) -> Path:
    """A lock file with that text."""
    (path / "zoo.lock").write_text(text)
    return path / "zoo.lock"


def test_what_is_written_is_read_in_one_order(tmp_path: Path) -> None:
    """Once each, so that the file does not change with the order of the words."""
    text = lock_text([TWO, OTHER, ONE, ONE])
    assert text == lock_text([ONE, TWO, OTHER])
    assert read_lock(written(tmp_path, text)) == [ONE, OTHER, TWO]
    assert read_lock(written(tmp_path, lock_text([]))) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema: 1", "schema: 2", "schema 2; this version reads up to 1. Upgrade attn-zoo"),
        ("schema: 1", "more: 1", "is no lock file; `zoo lock REF"),
        ('"a_net"', "3", r"lock:4: .*has a value of the wrong type\. Write it anew"),
        ('"a_net"', '"A"', "lock:4: 'A' is no name"),
        ('"1.0.0"', '"1.0"', "'1.0' is no version number"),
        (ONE.sha256, "0" * 63, "no digest of 64 hex digits"),
        ("size: 7", "size: -7", "or no size"),
        ("size: 7", "size: 7.5", "value of the wrong type"),
        ("size: 7", "size: true", "value of the wrong type"),
        ('"tests"', '"../tests"', "is no name"),
        (", size: 7", "", "has not the fields name, version, sha256, size, registry"),
        ("size: 7", "size: 7, url: x", "has not the fields"),
        ("size: 7", "size: &a 7", "anchor"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    """The message says what is wrong, and what to do."""
    text = lock_text([ONE])
    assert old in text
    with pytest.raises(RegistryError, match=message):
        read_lock(written(tmp_path, text.replace(old, new)))


@pytest.mark.parametrize("versions", ["5", "text", "{a: 1}"])
def test_versions_are_a_list(tmp_path: Path, versions: str) -> None:
    """Anything else is no lock file."""
    with pytest.raises(RegistryError, match="is no lock file; `zoo lock REF"):
        read_lock(written(tmp_path, f"schema: 1\nversions: {versions}\n"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As whoever mistyped it needs."""
    with pytest.raises(RegistryError, match=r"zoo\.lock cannot be read: No such file"):
        read_lock(tmp_path / "zoo.lock")


@pytest.mark.parametrize(
    ("ref", "found"),
    [
        ("b_net", [TWO]),
        ("b_net@2", [TWO]),
        ("b_net@2.0.0-rc1", [TWO]),
        ("b_net@sha256:" + "12" * 32, [TWO]),
        ("a_net", [ONE, OTHER]),
        ("a_net@3", [OTHER]),
    ],
)
def test_a_ref_finds_what_it_allows(ref: str, found: list[Locked]) -> None:
    """Also a pre-release, which was asked for when the file was written."""
    assert locked_versions(Ref.parse(ref), [ONE, TWO, OTHER], "zoo.lock") == found


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("b_nett", r"zoo\.lock does not hold 'b_nett'\. Did you mean 'b_net'"),
        ("a_net@2", r"zoo\.lock holds a_net@1\.0\.0, a_net@3\.1\.4, which is not a_net@2\."),
        ("b_net@sha256:" + "0" * 64, r"which is not b_net@sha256:0"),
    ],
)
def test_what_it_does_not_hold_is_an_error(ref: str, message: str) -> None:
    """Nothing else answers in its stead."""
    with pytest.raises(UnknownName, match=message):
        locked_versions(Ref.parse(ref), [ONE, TWO, OTHER], "zoo.lock")

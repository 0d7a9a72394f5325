"""The compiled index: made once, made again when damaged, made in memory where nothing can be written."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

import zoo
from zoo import Registry, RegistryError
from zoo.refs import VersionNumber
from zoo.registry import index, schema
from zoo.registry.index import open_index

MakeRegistry = Callable[..., Registry]
ONE = VersionNumber(1, 0, 0)


def compiled(cache: Path) -> list[Path]:
    """All files in this user's folder of indices."""
    return sorted((cache / f"index-{os.geteuid()}").iterdir())


def test_what_the_registry_says_is_what_the_index_says(make_registry: MakeRegistry) -> None:
    """Names, listings and data."""
    entry = {"metrics": {"a/b/c": {"mean": 0.5}}, "params": 7, "requires": {"attn-zoo": ">=0.1"}}
    registry = make_registry(a_net={"1.0.0": entry, "1.1.0-rc1": {}}, b_net={"0.1.0": {}})
    assert registry.index.names() == ["a_net", "b_net"]
    first = min(registry.index.listings("a_net"), key=lambda one: one.number)
    assert (first.number, first.params, first.metrics) == (ONE, 7, entry["metrics"])
    assert first.components == ("backbone/attn_cnn", "attention/se", "head/avg")
    assert [str(one.number) for one in registry.index.listings("a_net")][1:] == ["1.1.0-rc1"]
    assert registry.index.data("a_net", ONE)["requires"] == {"attn-zoo": ">=0.1"}
    assert registry.version("a_net", ONE).metrics == entry["metrics"]


def test_a_registry_is_read_once_for_each_content(make_registry: MakeRegistry, cache: Path) -> None:
    """The second time, YAML is not looked at; new content is compiled anew."""
    registry = make_registry(a_net={"1.0.0": {}})
    with mock.patch.object(index, "compile_index", side_effect=AssertionError("read again")):
        assert Registry(registry.root).index.names() == ["a_net"]
    assert make_registry(b_net={"1.0.0": {}}).index.names() == ["b_net"]
    assert len(compiled(cache)) == 2


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + b"\0" * 5000])
def test_a_damaged_index_is_made_again(
    make_registry: MakeRegistry, cache: Path, damage: bytes
) -> None:
    """Nobody has to delete it by hand."""
    registry = make_registry(a_net={"1.0.0": {}})
    (file,) = compiled(cache)
    file.write_bytes(damage)
    assert Registry(registry.root).index.names() == ["a_net"]
    with mock.patch.object(index, "compile_index", side_effect=AssertionError("not repaired")):
        assert Registry(registry.root).index.names() == ["a_net"]


def test_a_truncated_index_is_made_again(make_registry: MakeRegistry, cache: Path) -> None:
    """At every length that a crash could leave."""
    registry = make_registry(a_net={"1.0.0": {}})
    (file,) = compiled(cache)
    whole = file.read_bytes()
    for length in range(0, len(whole), 1024):
        file.write_bytes(whole[:length])
        assert Registry(registry.root).index.names() == ["a_net"]


def test_damage_that_shows_only_in_a_look_up_is_an_error_of_ours(
    make_registry: MakeRegistry, cache: Path
) -> None:
    """It names the file, and what to do."""
    registry = make_registry(a_net={"1.0.0": {}})
    (file,) = compiled(cache)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE compositions SET components = 'no JSON'")
        connection.execute("UPDATE entries SET data = NULL")
    connection.close()
    damaged = Registry(registry.root)
    with pytest.raises(RegistryError, match=r"sqlite is damaged .*Delete it; it is made again"):
        list(damaged.index.listings())
    with pytest.raises(RegistryError, match=r"sqlite is damaged"):
        damaged.index.data("a_net", ONE)
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE versions")
    connection.close()
    with pytest.raises(RegistryError, match=r"sqlite is damaged .no such table"):
        Registry(registry.root).index.names()


def test_an_index_of_other_tables_is_not_opened(
    make_registry: MakeRegistry, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer zoo beside an older one makes its own."""
    root = make_registry(a_net={"1.0.0": {}}).root
    monkeypatch.setattr(index, "LAYOUT", "other")
    assert Registry(root).index.names() == ["a_net"]
    assert len(compiled(cache)) == 2


def test_without_a_cache_the_index_is_made_in_memory(
    make_registry: MakeRegistry, tmp_path: Path
) -> None:
    """A folder that cannot be made is what a read-only home comes to."""
    root = make_registry(a_net={"1.0.0": {}}).root
    (tmp_path / "file").write_text("in the way")
    registry = Registry(root, cache=tmp_path / "file" / "cache")
    assert registry.index.names() == ["a_net"]
    assert registry.version("a_net", ONE).spec.backbone.name == "attn_cnn"


@pytest.mark.parametrize("name", ["a b", "50%25", "what?mode=memory", "#1", "ö"])
def test_any_folder_can_be_the_cache(
    make_registry: MakeRegistry, tmp_path: Path, name: str
) -> None:
    """Signs that mean something in an address are part of its name."""
    root = make_registry(a_net={"1.0.0": {}}).root
    Registry(root, cache=tmp_path / name)
    assert len(compiled(tmp_path / name)) == 1
    with mock.patch.object(index, "compile_index", side_effect=AssertionError("not found again")):
        assert Registry(root, cache=tmp_path / name).index.names() == ["a_net"]


def test_a_broken_registry_leaves_nothing_in_the_cache(tmp_path: Path, cache: Path) -> None:
    """Neither a half index nor a temporary file."""
    text = "schema: 1\nid: tests\nserial: 1\nvariants: {a: {versions: {1.0.0: {spec: 3}}}}"
    (tmp_path / "registry.yaml").write_text(text)
    with pytest.raises(RegistryError, match=r"registry\.yaml:4: .*spec"):
        Registry(tmp_path)
    assert compiled(cache) == []


def test_a_registry_beyond_the_limit_is_refused(
    make_registry: MakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of the reader holds on this way, too."""
    root = make_registry(a_net={"1.0.0": {}}).root
    monkeypatch.setattr("zoo.registry.reader.SIZE_LIMIT", 100)
    with pytest.raises(RegistryError, match="more than 100 bytes"):
        Registry(root)


def test_a_folder_without_registry_yaml_is_no_registry(tmp_path: Path) -> None:
    """The message says what is missing."""
    with pytest.raises(RegistryError, match=r"holds no registry\.yaml, so it is no registry"):
        Registry(tmp_path)


def test_a_file_address_is_a_folder(make_registry: MakeRegistry, tmp_path: Path) -> None:
    """With its signs escaped, as addresses have them."""
    root = make_registry("a b", a_net={"1.0.0": {}}).root
    assert Registry(root.as_uri()).index.names() == ["a_net"]
    assert "%20" in root.as_uri()


def test_versions_of_a_newer_schema_are_left_out(make_registry: MakeRegistry) -> None:
    """The index keeps what to say of them."""
    new = {"schema": schema.SCHEMA + 1}
    registry = make_registry(a_net={"1.0.0": {}, "2.0.0": new}, b_net={"1.0.0": new})
    assert registry.index.names() == ["a_net"]
    assert registry.index.skipped_of("a_net") == [
        "a_net@'2.0.0' has schema 2; upgrade attn-zoo to use it"
    ]
    assert len(Registry(registry.root).index.skipped) == 2


def test_a_planted_index_is_not_trusted(make_registry: MakeRegistry, cache: Path) -> None:
    """A file that others may write to, and a link: made again, and what the link names is left alone."""
    root = make_registry(a_net={"1.0.0": {}}).root
    (file,) = compiled(cache)
    other = make_registry("other", planted={"1.0.0": {}})
    (planted,) = (one for one in compiled(cache) if one != file)
    content = planted.read_bytes()
    for plant in (lambda: file.write_bytes(content), lambda: file.symlink_to(planted)):
        file.unlink()
        plant()
        if not file.is_symlink():
            assert Registry(root).index.names() == ["planted"]  # it is what would be believed
            file.chmod(0o666)
        assert Registry(root).index.names() == ["a_net"]
        assert not file.is_symlink()
        assert file.stat().st_mode & 0o777 == 0o600
    assert planted.read_bytes() == content
    assert other.index.names() == ["planted"]


def test_a_folder_of_others_is_not_used_and_said_to_be(
    make_registry: MakeRegistry, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The index is made in memory each time."""
    root = make_registry(a_net={"1.0.0": {}}).root
    (file,) = compiled(cache)
    file.parent.chmod(0o777)
    file.write_bytes(b"")
    assert Registry(root).index.names() == ["a_net"]
    assert "can be written to by other users, so it is not used" in caplog.text
    assert file.read_bytes() == b""


def test_what_killed_processes_left_behind_goes_with_the_next_compilation(
    make_registry: MakeRegistry, cache: Path
) -> None:
    """By age: a temporary file of today may be somebody's at work."""
    make_registry(a_net={"1.0.0": {}})
    (file,) = compiled(cache)
    ages = {".a.tmp": 2, ".b.tmp": 0, "c.sqlite": 100, "d.sqlite": 10}
    for name, days in ages.items():
        (file.parent / name).write_bytes(b"")
        moment = time.time() - days * 86400
        os.utime(file.parent / name, (moment, moment))
    make_registry(b_net={"1.0.0": {}})
    assert {path.name for path in compiled(cache)} >= {".b.tmp", "d.sqlite", file.name}
    assert {path.name for path in compiled(cache)}.isdisjoint({".a.tmp", "c.sqlite"})


def test_a_registry_that_changes_while_it_is_read_is_an_error(
    make_registry: MakeRegistry, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read must be what was hashed; nothing is kept under the wrong name."""
    root = make_registry(a_net={"1.0.0": {}}).root
    for file in compiled(cache):
        file.unlink()
    monkeypatch.setattr(index, "_digest", lambda file, source: "0" * 64)
    with pytest.raises(RegistryError, match=r"registry\.yaml was changed while it was read"):
        Registry(root)
    assert compiled(cache) == []


def test_processes_that_compile_at_once_all_succeed(
    make_registry: MakeRegistry, cache: Path
) -> None:
    """They leave one index and no temporary file."""
    root = make_registry(a_net={f"1.0.{n}": {} for n in range(200)}).root
    for file in compiled(cache):
        file.unlink()
    program = (
        f"from zoo import Registry; print(len(list(Registry({str(root)!r}).index.listings())))"
    )
    command = [sys.executable, "-c", program]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=60)[0] for process in running] == ["200\n"] * 4
    assert [file.suffix for file in compiled(cache)] == [".sqlite"]


def test_an_index_that_nobody_has_is_closed(make_registry: MakeRegistry, cache: Path) -> None:
    """At once, so that a registry that is read for long holds no files open."""
    path = make_registry(ours_cnn={"1.0.0": {}}).root / "registry.yaml"
    gc.disable()
    try:
        index = open_index(path, cache)
        assert list(index.listings())
        connection = index._connection
        del index
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    finally:
        gc.enable()


def test_an_open_registry_sees_what_was_published_meanwhile(make_registry: MakeRegistry) -> None:
    """As one that is opened anew does; where its file is gone for a moment it goes on with what it read."""
    registry = make_registry(a_net={"1.0.0": {}})
    assert registry.index.names() == ["a_net"]
    assert registry.index is registry.index
    make_registry(a_net={"1.0.0": {}}, b_net={"1.0.0": {}})
    assert sorted(registry.index.names()) == ["a_net", "b_net"]
    assert zoo.describe("b_net", registries=[registry]).ref.name == "b_net"
    assert registry.root is not None
    (registry.root / "registry.yaml").unlink()
    assert sorted(registry.index.names()) == ["a_net", "b_net"]

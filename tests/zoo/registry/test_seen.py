"""What was seen: nobody goes back behind it unnoticed, and nothing is lost where it cannot be kept."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zoo import ExactRef, RegistryError
from zoo.refs import VersionNumber
from zoo.registry.seen import RolledBack, Seen

HERE, THERE = "https://one.example/zoo", "https://two.example/zoo"

# Writes more than fits in its memory, and is killed before the end.
HALF_WAY = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA cache_size = 1")
rows = [("tests", f"net_{number}", "1.0.0", "a" * 64, "b" * 2000) for number in range(1000)]
connection.executemany("INSERT INTO versions VALUES (?, ?, ?, ?, ?)", rows)
os.kill(os.getpid(), signal.SIGKILL)
"""

# Is killed when it comes to the second of its tables.
BETWEEN_TABLES = """
import os, pathlib, signal, sqlite3, sys
from zoo.registry.seen import Seen
connect = sqlite3.connect
def traced(*args, **options):
    connection = connect(*args, **options)
    connection.set_trace_callback(
        lambda statement: "EXISTS versions" in statement and os.kill(os.getpid(), signal.SIGKILL)
    )
    return connection
sqlite3.connect = traced
Seen(pathlib.Path(sys.argv[1])).admit_index("https://one.example/zoo", "tests", 7)
"""


def ref(digit: str = "a", number: str = "1.0.0", registry: str = "tests") -> ExactRef:
    """A version whose digest is one digit, repeated."""
    return ExactRef(registry, "a_net", VersionNumber.parse(number), digit * 64 if digit else None)


def file_of(cache: Path) -> Path:
    """The database."""
    return cache / f"registries-{os.geteuid()}" / "seen.sqlite"


def test_nothing_is_written_by_looking(cache: Path) -> None:
    """A cache that was never written to holds nobody to anything."""
    Seen(cache).check_version(ref())
    assert Seen(cache).versions() == []
    assert not file_of(cache).exists()


def test_an_index_may_go_on_and_stand_still_but_not_back(cache: Path) -> None:
    """The message says both serials, and what to do."""
    for serial in (1, 3, 3, 7):
        Seen(cache).admit_index(HERE, "tests", serial)
    with pytest.raises(RolledBack, match=r"serial 6, and 7 was seen before\..*--accept-rollback"):
        Seen(cache).admit_index(HERE, "tests", 6)
    with pytest.raises(RolledBack, match="serial 0, and 7 was seen"):
        Seen(cache).admit_index(HERE, "tests", 0)


def test_a_rollback_that_is_accepted_is_the_new_measure(cache: Path) -> None:
    """From there on it goes forward again."""
    Seen(cache).admit_index(HERE, "tests", 7)
    Seen(cache).admit_index(HERE, "tests", 2, accept_rollback=True)
    Seen(cache).admit_index(HERE, "tests", 3)
    with pytest.raises(RolledBack, match="serial 2, and 3 was seen"):
        Seen(cache).admit_index(HERE, "tests", 2)


def test_a_place_does_not_turn_into_another_registry(cache: Path) -> None:
    """By calling itself otherwise an old index would get round its serial."""
    Seen(cache).admit_index(HERE, "tests", 7)
    with pytest.raises(RolledBack, match="was registry 'tests'; now it calls itself 'others'"):
        Seen(cache).admit_index(HERE, "others", 9)
    Seen(cache).admit_index(HERE, "others", 1, accept_rollback=True)
    Seen(cache).admit_index(HERE, "others", 2)


def test_a_mirror_may_lag_behind_another(cache: Path) -> None:
    """Serials are those of a place; a registry that takes another's id spoils nothing for it."""
    Seen(cache).admit_index(HERE, "tests", 7)
    Seen(cache).admit_index(THERE, "tests", 5)
    Seen(cache).admit_index(HERE, "tests", 7)


def test_a_version_keeps_its_bytes_also_on_a_mirror(cache: Path) -> None:
    """Whichever place says otherwise."""
    Seen(cache).admit_version(ref("a"), HERE)
    Seen(cache).admit_version(ref("a"), THERE)
    message = rf"a_net@1\.0\.0 of registry tests was sha256:{'a' * 64} \(from {HERE}\); now it is sha256:{'b' * 64}"
    with pytest.raises(RolledBack, match=message):
        Seen(cache).admit_version(ref("b"), THERE)
    with pytest.raises(RolledBack, match="now it is without weights"):
        Seen(cache).check_version(ref(""))
    Seen(cache).check_version(ref("a"))


def test_other_versions_and_registries_are_free(cache: Path) -> None:
    """Only the same name of the same registry is held to what was seen."""
    Seen(cache).admit_version(ref("a"), HERE)
    Seen(cache).admit_version(ref("b", number="1.0.1"), HERE)
    Seen(cache).admit_version(ref("c", registry="others"), THERE)
    Seen(cache).admit_version(ref("", number="2.0.0"), HERE)
    assert sorted(str(one.ref.sha256)[0] for one in Seen(cache).versions()) == ["a", "b", "c"]


def test_what_came_from_a_place_can_be_forgotten(cache: Path) -> None:
    """And nothing else is."""
    Seen(cache).admit_index(HERE, "tests", 7)
    Seen(cache).admit_version(ref("a"), HERE)
    Seen(cache).admit_version(ref("c", registry="others"), THERE)
    Seen(cache).forget(HERE)
    Seen(cache).admit_index(HERE, "elsewhere", 1)
    Seen(cache).admit_version(ref("b"), HERE)
    assert sorted(str(one.ref.sha256)[0] for one in Seen(cache).versions()) == ["b", "c"]


def test_a_damaged_memory_is_an_error_that_says_what_to_do(cache: Path) -> None:
    """Going on without it would be silent."""
    Seen(cache).admit_index(HERE, "tests", 7)
    file_of(cache).write_bytes(b"no database" * 1000)
    with pytest.raises(RegistryError, match=r"seen\.sqlite cannot be read .*delete it, and"):
        Seen(cache).admit_index(HERE, "tests", 7)


def test_a_writer_killed_half_way_costs_nothing_that_was_remembered(cache: Path) -> None:
    """What it began with is undone by the next look-up, without a word."""
    Seen(cache).admit_index(HERE, "tests", 7)
    subprocess.run([sys.executable, "-c", HALF_WAY, file_of(cache)], check=False)
    assert file_of(cache).with_name("seen.sqlite-journal").stat().st_size > 0
    with pytest.raises(RolledBack, match="serial 6, and 7 was seen"):
        Seen(cache).admit_index(HERE, "tests", 6)
    Seen(cache).admit_index(HERE, "tests", 8)
    assert Seen(cache).versions() == []


def test_a_writer_killed_between_its_tables_leaves_no_half_database(cache: Path) -> None:
    """The next look-up finds nothing remembered, and the next writer begins anew."""
    subprocess.run([sys.executable, "-c", BETWEEN_TABLES, cache], check=False)
    assert file_of(cache).exists()
    assert Seen(cache).versions() == []
    Seen(cache).admit_index(HERE, "tests", 7)
    with pytest.raises(RolledBack, match="serial 6, and 7 was seen"):
        Seen(cache).admit_index(HERE, "tests", 6)


def test_an_empty_file_is_no_memory_yet(cache: Path) -> None:
    """As a process leaves it that was killed when it had made the file."""
    Seen(cache).admit_index(HERE, "tests", 7)
    file_of(cache).write_bytes(b"")
    Seen(cache).admit_index(HERE, "tests", 6)
    with pytest.raises(RolledBack, match="serial 5, and 6 was seen"):
        Seen(cache).admit_index(HERE, "tests", 5)


def test_a_read_only_cache_is_held_to_and_remembers_nothing_new(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen before still counts."""
    Seen(cache).admit_index(HERE, "tests", 7)
    connect = sqlite3.connect

    def read_only(target: object, *, timeout: float, uri: bool = False) -> sqlite3.Connection:
        return connect(target if uri else f"file:{target}?mode=ro", timeout, uri=True)  # type: ignore[arg-type]  # both are texts

    monkeypatch.setattr(sqlite3, "connect", read_only)
    Seen(cache).admit_index(HERE, "tests", 8)
    Seen(cache).admit_index(HERE, "tests", 7)
    with pytest.raises(RolledBack, match="serial 6, and 7 was seen"):
        Seen(cache).admit_index(HERE, "tests", 6)


def test_what_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    """A file where the cache should be is what a read-only home comes to."""
    (tmp_path / "file").write_text("in the way")
    seen = Seen(tmp_path / "file" / "cache")
    seen.admit_index(HERE, "tests", 7)
    seen.admit_index(HERE, "tests", 6)
    seen.admit_version(ref("a"), HERE)
    seen.admit_version(ref("b"), HERE)


def test_a_folder_that_others_may_write_to_is_not_believed(cache: Path) -> None:
    """They could have put there what they like."""
    Seen(cache).admit_index(HERE, "tests", 7)
    os.chmod(file_of(cache).parent, 0o777)
    Seen(cache).admit_index(HERE, "tests", 6)


def test_many_at_once_agree_on_one(cache: Path) -> None:
    """The first that comes is remembered, and the others are held to it."""

    def admit(digit: str) -> bool:
        try:
            Seen(cache).admit_version(ref(digit), HERE)
        except RolledBack:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        admitted = list(pool.map(admit, "0123456789abcdef"))
    (one,) = Seen(cache).versions()
    assert admitted == [digit * 64 == one.ref.sha256 for digit in "0123456789abcdef"]

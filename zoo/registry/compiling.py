"""Compiling a registry.yaml into SQLite tables, one variant at a time: memory does not grow with the file."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from zoo.registry.schema import Row

# What many versions have in common stands once, in `compositions` and `requirements`, so that a look-up
# over all of them decides about it once. `place` counts a variant's versions from the oldest; `floats`
# says whether a ref without an exact version may come to one, `newest` that it does where all that
# versions need is there.
_TABLES = """
CREATE TABLE head (id TEXT, serial INTEGER);
CREATE TABLE skipped (name TEXT, sentence TEXT);
CREATE TABLE compositions (
    id INTEGER PRIMARY KEY, components TEXT, input TEXT, UNIQUE (components, input)
);
CREATE TABLE requirements (id INTEGER PRIMARY KEY, requires TEXT UNIQUE);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY, name TEXT, place INTEGER, major INTEGER, minor INTEGER, patch INTEGER, pre TEXT,
    floats INTEGER, newest INTEGER, yanked TEXT, summary TEXT, composition INTEGER, params INTEGER, metrics TEXT,
    requirement INTEGER, sha256 TEXT
);
CREATE TABLE figures (
    metric TEXT, version INTEGER, mean REAL, PRIMARY KEY (metric, version)
) WITHOUT ROWID;
CREATE TABLE entries (version INTEGER PRIMARY KEY, data TEXT);
"""
# Made when the tables are full, which is faster than keeping them up to date.
_INDICES = """
CREATE UNIQUE INDEX versions_by_name ON versions (name, place);
CREATE INDEX newest_by_name ON versions (name) WHERE newest;
CREATE INDEX skipped_by_name ON skipped (name);
"""
# Part of the file's name, so that an index of other tables is never opened.
LAYOUT = hashlib.sha256((_TABLES + _INDICES).encode()).hexdigest()[:8]


def compile_index(file: BinaryIO, source: str, connection: sqlite3.Connection) -> str:
    """Fill an empty database with what a registry.yaml says.

    Args:
        file: The registry.yaml.
        source: Where it came from, for messages.
        connection: The database.

    Returns:
        The sha256 of what was read.

    Raises:
        RegistryError: The registry breaks a rule.
    """
    from zoo.registry.reader import stream_yaml
    from zoo.registry.schema import check_schema, read_head, read_variant

    watched = _Watched(file)
    connection.executescript(_TABLES)
    tables = _Tables(connection)
    for key, value, lines, top in stream_yaml(watched, source, apart="variants"):
        if key is not None:
            check_schema(top, source)
            skipped: list[str] = []
            tables.add(read_variant(key, value, source, lines, skipped))
            tables.skip(key, skipped)
        else:
            head = read_head(value, source, lines)
            connection.execute("INSERT INTO head VALUES (?, ?)", (head.id, head.serial))
    connection.executescript(_INDICES)
    connection.commit()
    return watched.digest.hexdigest()


class _Watched:
    """A file whose digest is taken while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.digest = hashlib.sha256()
        self._file = file

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        content = self._file.read(size)
        self.digest.update(content)
        return content


class _Tables:
    """Fills the tables of versions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._versions = 0
        # A registry says the same few again and again; the rest is looked up.
        self._composition = lru_cache(maxsize=1024)(self._find_composition)
        self._requirement = lru_cache(maxsize=1024)(self._find_requirement)

    def add(self, rows: Iterable[Row]) -> None:
        """Add all versions of one variant."""
        known = sorted(rows, key=attrgetter("number"))
        floating = [place for place, row in enumerate(known) if _floats(row)]
        for place, row in enumerate(known):
            self._versions += 1
            self._add(row, place, newest=floating[-1:] == [place])

    def skip(self, name: str, sentences: Sequence[str]) -> None:
        """Note versions of a variant that were left out."""
        for sentence in sentences:
            self._execute("INSERT INTO skipped VALUES (?, ?)", (name, sentence))

    def _add(self, row: Row, place: int, *, newest: bool) -> None:
        entry, number = row.entry, row.number
        components = json.dumps([f"{kind}/{name}" for kind, name in row.spec.components])
        values = (
            self._versions,
            row.name,
            place,
            number.major,
            number.minor,
            number.patch,
            number.pre,
            _floats(row),
            newest,
            entry.status.get("yanked"),
            row.summary,
            self._composition(components, row.spec.input.kind),
            entry.params,
            json.dumps(row.data.get("metrics", {})),
            self._requirement(json.dumps(entry.requires, sort_keys=True)),
            entry.weights.sha256 if entry.weights else None,
        )
        marks = ", ".join("?" * len(values))
        self._execute(f"INSERT INTO versions VALUES ({marks})", values)  # noqa: S608 - only ?
        for metric, figure in entry.metrics.items():
            figures = (metric, self._versions, figure.mean)
            self._execute("INSERT INTO figures VALUES (?, ?, ?)", figures)
        data = (self._versions, json.dumps(row.data))
        self._execute("INSERT INTO entries VALUES (?, ?)", data)

    def _find_composition(self, components: str, kind: str) -> int:
        values = (components, kind)
        self._execute(
            "INSERT OR IGNORE INTO compositions (components, input) VALUES (?, ?)", values
        )
        query = "SELECT id FROM compositions WHERE (components, input) = (?, ?)"
        number: int = self._execute(query, values).fetchone()[0]
        return number

    def _find_requirement(self, requires: str) -> int:
        self._execute("INSERT OR IGNORE INTO requirements (requires) VALUES (?)", (requires,))
        query = "SELECT id FROM requirements WHERE requires = ?"
        number: int = self._execute(query, (requires,)).fetchone()[0]
        return number


def _floats(row: Row) -> bool:
    return "yanked" not in row.entry.status and not row.number.pre

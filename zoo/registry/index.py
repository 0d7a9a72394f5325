"""The compiled index of a registry: a small SQLite file, so that look-ups need not read YAML.

It is made once for each content of a registry.yaml (its name is that content's sha256), in a temporary
file that is renamed when whole. Where the cache cannot be written to, it is made in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import RegistryError
from zoo.refs import VersionNumber
from zoo.registry.reader import read_capped

if TYPE_CHECKING:
    from zoo.registry.schema import Row

_TABLES = """
CREATE TABLE head (id TEXT, serial INTEGER, skipped TEXT);
CREATE TABLE versions (
    name TEXT, major INTEGER, minor INTEGER, patch INTEGER, pre TEXT, yanked TEXT, summary TEXT,
    components TEXT, input TEXT, params INTEGER, metrics TEXT, requires TEXT, sha256 TEXT, data TEXT
);
CREATE INDEX by_name ON versions (name);
CREATE INDEX by_digest ON versions (sha256);
"""
# Part of the file's name, so that an index of other tables is never opened.
LAYOUT = hashlib.sha256(_TABLES.encode()).hexdigest()[:8]


class Listing(NamedTuple):
    """A version as the index has it: enough to list and to choose, without its spec.

    Attributes:
        name: Name of its variant.
        number: Its number.
        yanked: Why it was withdrawn; None if it was not.
        summary: One line for people.
        components: `kind/name` of each component, in the order of the road.
        input: Kind of its input.
        params: Number of parameters, if known.
        metrics: Its figures, by `dataset/split/measure`.
        requires: Distributions that it needs, with the versions that will do.
        sha256: Digest of its weights; None if it has none.
    """

    name: str
    number: VersionNumber
    yanked: str | None
    summary: str
    components: list[str]
    input: str
    params: int | None
    metrics: dict[str, dict[str, Any]]
    requires: dict[str, str]
    sha256: str | None


class Index:
    """Look-ups in one registry.

    Args:
        connection: The compiled index.
        file: Where it came from, for messages.

    Raises:
        RegistryError: In any look-up: the file is damaged.
    """

    def __init__(self, connection: sqlite3.Connection, file: str) -> None:
        self._connection = connection
        self._file = file
        self.id: str
        self.serial: int
        self.id, self.serial, skipped = connection.execute(
            "SELECT id, serial, skipped FROM head"
        ).fetchone()
        self.skipped: list[str] = json.loads(skipped)

    def names(self) -> list[str]:
        """The names of all variants, sorted."""
        return [row[0] for row in self._rows("SELECT DISTINCT name FROM versions ORDER BY name")]

    def listings(self, name: str | None = None) -> Iterator[Listing]:
        """Yield every version, or those of one variant."""
        columns = "name, major, minor, patch, pre, yanked, summary, components, input, params, metrics, requires, sha256"
        query = f"SELECT {columns} FROM versions"  # noqa: S608 - constant text
        values: tuple[str, ...] = ()
        if name is not None:
            query, values = f"{query} WHERE name = ?", (name,)
        for row in self._rows(query, values):
            yield Listing(
                row[0],
                VersionNumber(row[1], row[2], row[3], row[4]),
                row[5],
                row[6],
                self._json(row[7]),
                row[8],
                row[9],
                self._json(row[10]),
                self._json(row[11]),
                row[12],
            )

    def data(self, name: str, number: VersionNumber) -> dict[str, Any]:
        """The entry of one version, as it stands in the registry."""
        key = (name, number.major, number.minor, number.patch, number.pre)
        query = "SELECT data FROM versions WHERE (name, major, minor, patch, pre) = (?, ?, ?, ?, ?)"
        row = next(self._rows(query, key), (None,))
        entry: dict[str, Any] = self._json(row[0])
        return entry

    def skipped_of(self, name: str) -> list[str]:
        """The sentences about versions of one variant that were left out."""
        return [sentence for sentence in self.skipped if sentence.startswith(f"{name}@")]

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.Error as error:
            raise self._damaged(error) from None

    def _json(self, text: Any) -> Any:
        try:
            return json.loads(text)
        except (TypeError, ValueError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> RegistryError:
        return RegistryError(f"{self._file} is damaged ({error}). Delete it; it is made again.")


def open_index(path: Path, cache: Path) -> Index:
    """Open the index of a registry.yaml, compiling it first if its content is new.

    Args:
        path: The registry.yaml.
        cache: Folder for compiled indices; made if need be.

    Raises:
        RegistryError: The registry cannot be read, or breaks a rule.
    """
    content = read_capped(path)
    target = cache / f"{hashlib.sha256(content).hexdigest()}-{LAYOUT}.sqlite"
    with suppress(sqlite3.Error, TypeError, ValueError):  # absent or damaged: compiled below
        return _open(target)
    head, rows, skipped = _read(content, str(path))
    temporary = cache / f".{target.name}.{os.urandom(8).hex()}.tmp"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(temporary)) as connection:
            _fill(connection, head, rows, skipped)
        os.replace(temporary, target)
        return _open(target)
    except (OSError, sqlite3.Error):
        head, rows, skipped = _read(content, str(path))
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        _fill(connection, head, rows, skipped)
        return Index(connection, str(path))
    finally:
        for leftover in (temporary, temporary.with_name(f"{temporary.name}-journal")):
            with suppress(OSError):
                leftover.unlink()


def _open(file: Path) -> Index:
    address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(address, uri=True, check_same_thread=False)
    try:
        return Index(connection, str(file))
    except Exception:
        connection.close()
        raise


def _read(content: bytes, source: str) -> tuple[Any, Iterable[Row], list[str]]:
    from zoo.registry.reader import parse_yaml
    from zoo.registry.schema import read_head, read_rows

    data, lines = parse_yaml(content, source)
    head = read_head(data, source, lines)
    skipped: list[str] = []
    return head, read_rows(head, source, lines, skipped), skipped


def _fill(
    connection: sqlite3.Connection, head: Any, rows: Iterable[Row], skipped: list[str]
) -> None:
    connection.executescript(_TABLES)
    connection.executemany(
        "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_record(row) for row in rows),
    )
    connection.execute(
        "INSERT INTO head VALUES (?, ?, ?)", (head.id, head.serial, json.dumps(skipped))
    )
    connection.commit()


def _record(row: Row) -> tuple[Any, ...]:
    number, entry = row.number, row.entry
    return (
        row.name,
        number.major,
        number.minor,
        number.patch,
        number.pre,
        entry.status.get("yanked"),
        row.summary,
        json.dumps([f"{kind}/{name}" for kind, name in row.spec.components]),
        row.spec.input.kind,
        entry.params,
        json.dumps(row.data.get("metrics", {})),
        json.dumps(entry.requires),
        entry.weights.sha256 if entry.weights else None,
        json.dumps(row.data),
    )

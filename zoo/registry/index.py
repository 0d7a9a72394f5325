"""The compiled index of a registry: a small SQLite file, so that look-ups need not read YAML.

It is made once for each content of a registry.yaml (its name is that content's sha256), in a temporary
file that is renamed when whole. Where the cache cannot be written to, it is made in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import RegistryError
from zoo.refs import VersionNumber

if TYPE_CHECKING:
    from zoo.registry.schema import Row

# Part of the file's name: a new layout is a new file.
LAYOUT = 1

_TABLES = """
CREATE TABLE head (id TEXT, serial INTEGER, skipped TEXT);
CREATE TABLE versions (
    name TEXT, major INTEGER, minor INTEGER, patch INTEGER, pre TEXT, yanked TEXT, summary TEXT,
    components TEXT, params INTEGER, metrics TEXT, requires TEXT, sha256 TEXT, data TEXT
);
CREATE INDEX by_name ON versions (name);
CREATE INDEX by_digest ON versions (sha256);
"""


class Listing(NamedTuple):
    """A version as the index has it: enough to list and to choose, without its spec.

    Attributes:
        name: Name of its variant.
        number: Its number.
        yanked: Why it was withdrawn; None if it was not.
        summary: One line for people.
        components: `kind/name` of each component, in the order of the road.
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
    params: int | None
    metrics: dict[str, dict[str, Any]]
    requires: dict[str, str]
    sha256: str | None


class Index:
    """Look-ups in one registry."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.id: str
        self.serial: int
        self.id, self.serial, skipped = connection.execute(
            "SELECT id, serial, skipped FROM head"
        ).fetchone()
        self.skipped: list[str] = json.loads(skipped)

    def names(self) -> list[str]:
        """The names of all variants, sorted."""
        return [
            row[0]
            for row in self._connection.execute("SELECT DISTINCT name FROM versions ORDER BY name")
        ]

    def listings(self, name: str | None = None) -> Iterator[Listing]:
        """Yield every version, or those of one variant."""
        columns = "name, major, minor, patch, pre, yanked, summary, components, params, metrics, requires, sha256"
        query, values = f"SELECT {columns} FROM versions", ()  # noqa: S608 - constant text
        if name is not None:
            query, values = f"{query} WHERE name = ?", (name,)  # type: ignore[assignment]
        for row in self._connection.execute(query, values):
            yield Listing(
                row[0],
                VersionNumber(*row[1:5]),
                row[5],
                row[6],
                json.loads(row[7]),
                row[8],
                json.loads(row[9]),
                json.loads(row[10]),
                row[11],
            )

    def data(self, name: str, number: VersionNumber) -> dict[str, Any]:
        """The entry of one version, as it stands in the registry."""
        key = (name, number.major, number.minor, number.patch, number.pre)
        row = self._connection.execute(
            "SELECT data FROM versions WHERE (name, major, minor, patch, pre) = (?, ?, ?, ?, ?)",
            key,
        ).fetchone()
        entry: dict[str, Any] = json.loads(row[0])
        return entry


def open_index(path: Path, cache: Path) -> Index:
    """Open the index of a registry.yaml, compiling it first if its content is new.

    Args:
        path: The registry.yaml.
        cache: Folder for compiled indices; made if need be.

    Raises:
        RegistryError: The registry cannot be read, or breaks a rule.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror or error}.") from None
    target = cache / f"{hashlib.sha256(content).hexdigest()}-{LAYOUT}.sqlite"
    with suppress(sqlite3.Error, TypeError):  # absent or damaged: compiled afresh below
        return Index(_connect(target))
    head, rows, skipped = _read(content, str(path))
    temporary = cache / f".{target.name}.{secrets.token_hex(8)}.tmp"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(temporary) as connection:
            _fill(connection, head, rows, skipped)
        connection.close()
        os.replace(temporary, target)
        return Index(_connect(target))
    except (OSError, sqlite3.Error):
        head, rows, skipped = _read(content, str(path))
        connection = sqlite3.connect(":memory:")
        _fill(connection, head, rows, skipped)
        return Index(connection)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{path.absolute().as_posix()}?mode=ro&immutable=1", uri=True, check_same_thread=False
    )


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
        "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
        entry.params,
        json.dumps(row.data.get("metrics", {})),
        json.dumps(entry.requires),
        entry.weights.sha256 if entry.weights else None,
        json.dumps(row.data),
    )

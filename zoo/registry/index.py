"""The compiled index of a registry: a small SQLite file, so that look-ups need not read YAML.

It is made once for each content of a registry.yaml (its name is that content's sha256), in a temporary
file that is renamed when whole. Where no folder can be written to and trusted, it is made in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from zoo.errors import RegistryError
from zoo.refs import VersionNumber
from zoo.registry.compiling import LAYOUT, compile_index
from zoo.registry.private import NotPrivate, open_private, private_folder
from zoo.registry.recall import Recall

# Two of the columns stand for lists that many versions have in common; see `compiling`.
_COLUMNS = "name, major, minor, patch, pre, yanked, summary, composition, params, metrics, requirement, sha256"
# What is left behind by a process that was killed, and an index that nobody may need any more.
_TEMPORARY_AGE, _INDEX_AGE = 86400.0, 90 * 86400.0
_PIECE = 2**20
# So many of the lists that versions have in common are not read anew for each version.
_REMEMBERED = 1024
# So many names are compared one by one with a name that nobody knows.
_SIMILAR = 200


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
    components: tuple[str, ...]
    input: str
    params: int | None
    metrics: dict[str, dict[str, Any]]
    requires: Mapping[str, str]
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
        self._compositions: dict[int, tuple[tuple[str, ...], str]] = {}
        self._requirements: dict[int, dict[str, str]] = {}
        weakref.finalize(self, connection.close)
        self.id: str
        self.serial: int
        self.id, self.serial = connection.execute("SELECT id, serial FROM head").fetchone()

    @property
    def skipped(self) -> list[str]:
        """A sentence about each version that was left out."""
        return [row[0] for row in self._rows("SELECT sentence FROM skipped ORDER BY rowid")]

    def skipped_of(self, name: str) -> list[str]:
        """The sentences about versions of one variant that were left out."""
        query = "SELECT sentence FROM skipped WHERE name = ? ORDER BY rowid"
        return [row[0] for row in self._rows(query, (name,))]

    def names(self) -> list[str]:
        """The names of all variants, sorted."""
        return [row[0] for row in self._rows("SELECT DISTINCT name FROM versions ORDER BY name")]

    def metrics(self) -> list[str]:
        """The names of all figures, sorted."""
        return [row[0] for row in self._rows("SELECT DISTINCT metric FROM figures ORDER BY metric")]

    def similar_names(self, name: str) -> tuple[list[str], int]:
        """What may be near misses of a name that nobody knows, and how many names there are.

        Comparing a hundred thousand names letter by letter takes seconds; those that share the most pairs
        of letters are found in a moment.
        """
        pairs = sorted({name[at : at + 2] for at in range(min(len(name), 64))})
        score = " + ".join(["(instr(name, ?) > 0)"] * len(pairs)) or "0"
        query = (
            "SELECT name, count(*) OVER () FROM (SELECT DISTINCT name FROM versions) "  # noqa: S608 - only ?
            f"ORDER BY {score} DESC, abs(length(name) - ?), name LIMIT {_SIMILAR}"
        )
        rows = list(self._rows(query, (*pairs, len(name))))
        return [row[0] for row in rows], rows[0][1] if rows else 0

    def listings(self, name: str | None = None) -> Iterator[Listing]:
        """Yield every version, or those of one variant, the oldest first."""
        if name is None:
            yield from self.select("versions", "name, place")
        else:
            yield from self.select("versions WHERE name = ?", "place", (name,))

    def select(self, rows: str, order: str, values: Sequence[Any] = ()) -> Iterator[Listing]:
        """Yield the versions that a query over the tables gives; see `selecting`.

        Args:
            rows: What stands behind FROM.
            order: What stands behind ORDER BY.
            values: One for each `?` in the two.
        """
        query = f"SELECT {_COLUMNS} FROM {rows} ORDER BY {order}"  # noqa: S608 - texts of ours
        for row in self._rows(query, values):
            components, kind = self._composition(row[7])
            yield Listing(
                row[0],
                VersionNumber(row[1], row[2], row[3], row[4]),
                row[5],
                row[6],
                components,
                kind,
                row[8],
                self._json(row[9]),
                self._requirement(row[10]),
                row[11],
            )

    def compositions(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield which components stand together for which kind of input, each with its number."""
        for number, components, kind in self._rows("SELECT * FROM compositions"):
            yield number, self._json(components), kind

    def requirements(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield which distributions are needed together, each with its number."""
        for number, requires in self._rows("SELECT * FROM requirements"):
            yield number, self._json(requires)

    def count(self, rows: str, values: Sequence[Any] = ()) -> int:
        """How many rows a query gives, by what stands behind FROM."""
        query = f"SELECT count(*) FROM {rows}"  # noqa: S608 - texts of ours
        number: int = next(self._rows(query, values))[0]
        return number

    def count_by_requirements(
        self, rows: str, values: Sequence[Any] = ()
    ) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield how many of the rows of a query need which distributions together."""
        query = f"SELECT count(*), requirement FROM {rows} GROUP BY requirement"  # noqa: S608 - as above
        for count, number in self._rows(query, values):
            yield count, self._requirement(number)

    def data(self, name: str, number: VersionNumber) -> dict[str, Any]:
        """The entry of one version, as it stands in the registry."""
        key = (name, number.major, number.minor, number.patch, number.pre)
        query = (
            "SELECT data FROM entries JOIN versions ON version = id "
            "WHERE (name, major, minor, patch, pre) = (?, ?, ?, ?, ?)"
        )
        row = next(self._rows(query, key), (None,))
        entry: dict[str, Any] = self._json(row[0])
        return entry

    def _composition(self, number: int) -> tuple[tuple[str, ...], str]:
        if number not in self._compositions:
            if len(self._compositions) == _REMEMBERED:
                self._compositions.clear()
            query = "SELECT components, input FROM compositions WHERE id = ?"
            components, kind = next(self._rows(query, (number,)), (None, ""))
            self._compositions[number] = tuple(self._json(components)), kind
        return self._compositions[number]

    def _requirement(self, number: int) -> dict[str, str]:
        if number not in self._requirements:
            if len(self._requirements) == _REMEMBERED:
                self._requirements.clear()
            query = "SELECT requires FROM requirements WHERE id = ?"
            self._requirements[number] = self._json(next(self._rows(query, (number,)), (None,))[0])
        return self._requirements[number]

    def _rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        # What a shell hands over may be no text; SQLite takes nothing else.
        plain = [
            value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
            for value in values
        ]
        try:
            yield from self._connection.execute(query, plain)
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
        cache: Where compiled indices are kept: in a folder beside it for each user, named like it with the
            user's number.

    Raises:
        RegistryError: The registry cannot be read, or breaks a rule.
    """
    try:
        with open(path, "rb") as file:
            try:
                return _open_kept(file, str(path), private_folder(cache))
            except (OSError, sqlite3.Error) as error:
                if isinstance(error, NotPrivate):
                    _report(f"{error}, so it is not used, and {path} is compiled anew each time.")
                connection = sqlite3.connect(":memory:", check_same_thread=False)
                _fill(connection, file, str(path), _digest(file, str(path)))
                return Index(connection, str(path))
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror or error}.") from None


def _open_kept(file: BinaryIO, source: str, folder: Path) -> Index:
    """Open the index that is kept in a private folder, made first if need be."""
    recall = Recall(file, folder)
    if known := recall.digest():
        with suppress(OSError, sqlite3.Error, TypeError):
            return _open(_target(folder, known))
    digest = _digest(file, source)
    target = _target(folder, digest)
    with suppress(OSError, sqlite3.Error, TypeError):  # absent, damaged or planted: made below
        index = _open(target)
        recall.remember(digest)
        return index
    temporary = target.with_name(f".{target.name}.{os.urandom(8).hex()}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(temporary)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")  # half an index is deleted, not mended
            _fill(connection, file, source, digest)
        os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink()
    _sweep(folder)
    return _open(target)


def _target(folder: Path, digest: str) -> Path:
    return folder / f"{digest}-{LAYOUT}.sqlite"


def _open(target: Path) -> Index:
    connection = open_private(target)
    try:
        return Index(connection, str(target))
    except Exception:
        connection.close()
        raise


def _fill(connection: sqlite3.Connection, file: BinaryIO, source: str, digest: str) -> None:
    file.seek(0)
    if compile_index(file, source, connection) != digest:
        raise RegistryError(f"{source} was changed while it was read. Try again.")


def _digest(file: BinaryIO, source: str) -> str:
    from zoo.registry.reader import check_size

    check_size(os.fstat(file.fileno()).st_size, source)
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while piece := file.read(_PIECE):
        size += len(piece)
        check_size(size, source)
        digest.update(piece)
    return digest.hexdigest()


def _sweep(folder: Path) -> None:
    """Delete what killed processes left behind, and indices of contents that are long past."""
    now = time.time()
    for path in folder.iterdir():
        with suppress(OSError):  # another process was faster
            age = _TEMPORARY_AGE if path.name.endswith(".tmp") else _INDEX_AGE
            if path.lstat().st_mtime < now - age:
                path.unlink()


def _report(message: str) -> None:
    import logging  # not at the top: `zoo list` has nothing to log

    logging.getLogger("zoo").warning(message)

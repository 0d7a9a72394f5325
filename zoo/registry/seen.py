"""What was seen of registries before, so that nobody can quietly take it back.

Two things are remembered in `seen.sqlite`, in a folder of the cache that is this user's alone. Of each place (a
registry's base): the id and the highest serial that its index had; a place may not go back to an older index,
nor turn into another registry. Of each version that was used, by registry id, name and number: the digest of its
weights, which never changes. Mirrors share the id of what they copy, so one may lag behind another, but no two
may give different bytes for one version.

Where the cache cannot be written to, nothing new is remembered; what was is still held to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from zoo.errors import RegistryError
from zoo.refs import ExactRef, VersionNumber
from zoo.registry.private import private_folder

Result = TypeVar("Result")

# Both or none: whoever is killed between the two must not leave half a database.
_TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS places (base TEXT PRIMARY KEY, id TEXT, serial INTEGER);
CREATE TABLE IF NOT EXISTS versions (
    id TEXT, name TEXT, number TEXT, sha256 TEXT, base TEXT, PRIMARY KEY (id, name, number)
);
COMMIT;
"""
_TURN = 60.0  # seconds to wait while others write, each a moment
_TAKE = "INSERT OR REPLACE INTO places VALUES (?, ?, ?)"
# Another process may have seen a newer index meanwhile.
_RAISE = (
    "INSERT INTO places VALUES (?, ?, ?) ON CONFLICT (base) DO UPDATE SET serial = excluded.serial "
    "WHERE excluded.id = id AND excluded.serial > serial"
)


class RolledBack(RegistryError):
    """A registry takes back what it said before."""


class SeenVersion(NamedTuple):
    """A version that was used before, and the base of the registry that it came from."""

    ref: ExactRef
    base: str


class Seen:
    """The memory of one cache.

    Args:
        cache: Folder of the cache.

    Raises:
        RegistryError: In any look-up: the file is damaged.
    """

    def __init__(self, cache: Path) -> None:
        self._beside = cache / "registries"

    def admit_index(
        self, base: str, registry: str, serial: int, *, accept_rollback: bool = False
    ) -> None:
        """Check an index against the newest that was seen at its place, and remember it.

        Args:
            base: Where the index came from.
            registry: The id in it.
            serial: The serial in it.
            accept_rollback: Take it, whatever was seen before.

        Raises:
            RolledBack: It is older, or of another registry.
        """
        seen = self._place(base)
        if seen == (registry, serial):
            return
        if seen is not None and not accept_rollback:
            _check_not_back(base, registry, serial, *seen)
        self._write(_TAKE if accept_rollback else _RAISE, (base, registry, serial))

    def check_index(self, base: str, registry: str, serial: int) -> None:
        """Check an index as `admit_index` does, and remember nothing.

        Raises:
            RolledBack: It is older, or of another registry.
        """
        seen = self._place(base)
        if seen is not None:
            _check_not_back(base, registry, serial, *seen)

    def check_version(self, ref: ExactRef) -> None:
        """Check that a version has the digest that was seen before, if any was.

        Raises:
            RolledBack: It has another.
        """
        row = self._version(ref)
        if row is not None and row[0] != ref.sha256:
            raise RolledBack(
                f"{ref} of registry {ref.registry} was sha256:{row[0]} (from {row[1]}); now it is "
                f"{f'sha256:{ref.sha256}' if ref.sha256 else 'without weights'}. A version never changes, so one of the "
                "two is not what was published, or two registries go by one id. Ask the publisher. The first, where it is "
                f"cached, still loads as {ref.name}@sha256:{row[0]}."
            )

    def admit_version(self, ref: ExactRef, base: str) -> None:
        """Check a version as `check_version` does, and remember it.

        Raises:
            RolledBack: Another digest was seen before.
        """
        if ref.sha256 is not None and self._version(ref) is None:
            row = (ref.registry, ref.name, str(ref.number), ref.sha256, base)
            self._write("INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?, ?)", row)
        self.check_version(ref)

    def versions(self) -> list[SeenVersion]:
        """Every version that was used, by name and number."""
        rows = self._read(
            lambda db: db.execute("SELECT id, name, number, sha256, base FROM versions").fetchall()
        )
        found = [
            SeenVersion(ExactRef(row[0], row[1], VersionNumber.parse(row[2]), row[3]), row[4])
            for row in rows or []
        ]
        return sorted(found, key=lambda one: (one.ref.name, one.ref.number))

    def forget(self, base: str) -> None:
        """Forget a place and the versions that came from it."""
        self._write("DELETE FROM places WHERE base = ?", (base,))
        self._write("DELETE FROM versions WHERE base = ?", (base,))

    def _place(self, base: str) -> tuple[str, int] | None:
        query = "SELECT id, serial FROM places WHERE base = ?"
        row: tuple[str, int] | None = self._read(lambda db: db.execute(query, (base,)).fetchone())
        return row

    def _version(self, ref: ExactRef) -> tuple[str, str] | None:
        key = (ref.registry, ref.name, str(ref.number))
        query = "SELECT sha256, base FROM versions WHERE (id, name, number) = (?, ?, ?)"
        row: tuple[str, str] | None = self._read(lambda db: db.execute(query, key).fetchone())
        return row

    def _file(self) -> Path:
        """The database. Others could have put there what they like if its folder were not this user's alone."""
        return private_folder(self._beside) / "seen.sqlite"

    def _read(self, look_up: Callable[[sqlite3.Connection], Any]) -> Any:
        """The answer of a look-up; None if nothing was ever remembered here."""
        try:
            file = self._file()
            if not file.stat().st_size:  # as a writer leaves it that was killed at once
                return None
        except OSError:
            return None
        try:
            try:
                return _answer(file, "ro", look_up)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
                    raise
                # A process was killed while it wrote. To undo what it began with, one has to write.
                return _answer(file, "rw", look_up)
        except sqlite3.Error as error:
            raise RegistryError(
                f"{file} cannot be read ({error}). It says which versions were seen before; delete it, and "
                "everything is trusted anew."
            ) from None

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            with closing(sqlite3.connect(self._file(), timeout=_TURN)) as connection, connection:
                connection.executescript(_TABLES)
                connection.execute(statement, values)
        except (OSError, sqlite3.Error) as error:
            import logging  # not at the top: `zoo list` comes by here, and has nothing to log

            # A cache that cannot be written to is no reason to refuse work; it remembers nothing new.
            logging.getLogger("zoo").debug("What was seen is not remembered: %s", error)


def _answer(file: Path, mode: str, look_up: Callable[[sqlite3.Connection], Result]) -> Result:
    with closing(
        sqlite3.connect(f"{file.as_uri()}?mode={mode}", timeout=_TURN, uri=True)
    ) as connection:
        return look_up(connection)


def _check_not_back(
    base: str, registry: str, serial: int, seen_registry: str, seen_serial: int
) -> None:
    remedy = (
        "If its publisher did this on purpose, take it: zoo registry refresh NAME --accept-rollback, or "
        "Registry(...).refresh(accept_rollback=True)."
    )
    if registry != seen_registry:
        raise RolledBack(
            f"{base} was registry {seen_registry!r}; now it calls itself {registry!r}. {remedy}"
        )
    if serial < seen_serial:
        raise RolledBack(
            f"{base} went back: its index has serial {serial}, and {seen_serial} was seen before. What was published "
            f"or withdrawn since is missing in it. {remedy}"
        )

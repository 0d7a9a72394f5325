"""A user's own folder: what others could have put there is not opened."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from zoo.registry.private import NotPrivate, open_private, private_folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with one table in a private folder."""
    file = private_folder(tmp_path / "index") / "a.sqlite"
    os.close(os.open(file, os.O_CREAT, 0o600))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE answers (answer)")
        connection.execute("INSERT INTO answers VALUES (42)")
        connection.commit()
    return file


def answer(file: Path) -> tuple[int, str]:
    """What the database says, and which file SQLite has open."""
    with closing(open_private(file)) as connection:
        (found,) = connection.execute("SELECT answer FROM answers").fetchone()
        return found, connection.execute("PRAGMA database_list").fetchone()[2]


def somebody_else() -> mock._patch[mock.Mock]:
    """Be another user, to whom nothing here belongs."""
    return mock.patch("os.geteuid", return_value=os.geteuid() + 1)


def test_the_folder_is_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    """And it bears the number of its user."""
    before = os.umask(0)
    try:
        folder = private_folder(tmp_path / "cache" / "index")
    finally:
        os.umask(before)
    assert folder == tmp_path.resolve() / "cache" / f"index-{os.geteuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private_folder(tmp_path / "cache" / "index") == folder


def test_two_users_of_one_cache_have_two_folders(tmp_path: Path) -> None:
    """Neither looks into the other's."""
    mine = private_folder(tmp_path / "index")
    theirs = tmp_path / f"index-{os.geteuid() + 1}"
    with somebody_else(), pytest.raises(NotPrivate, match=f"{theirs} belongs to another user"):
        private_folder(tmp_path / "index")
    assert {mine, theirs} == set(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path, mode: int) -> None:
    """Its group or anybody."""
    private_folder(tmp_path / "index").chmod(mode)
    with pytest.raises(NotPrivate, match="can be written to by other users"):
        private_folder(tmp_path / "index")


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path, file: Path) -> None:
    """Even to a folder of our own."""
    (tmp_path / "elsewhere").mkdir()
    planted = tmp_path / "elsewhere" / f"index-{os.geteuid()}"
    planted.symlink_to(file.parent)
    with pytest.raises(NotPrivate, match="is a link, or no folder"):
        private_folder(tmp_path / "elsewhere" / "index")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        open_private(planted / file.name)


def test_a_file_in_a_private_folder_is_opened(file: Path) -> None:
    """By its path, so that memory does not grow with it; it cannot be written to."""
    file.parent.parent.chmod(0o755)
    assert answer(file) == (42, str(file))
    with closing(open_private(file)) as connection, pytest.raises(sqlite3.Error, match="readonly"):
        connection.execute("DELETE FROM answers")


@pytest.mark.parametrize(("mode", "in_memory"), [(0o777, True), (0o770, True), (0o1777, False)])
def test_where_others_could_exchange_the_folder_the_bytes_that_were_checked_are_used(
    file: Path, mode: int, in_memory: bool
) -> None:
    """What lies in a folder without the sticky bit can be renamed by whoever may write to it."""
    file.parent.parent.chmod(mode)
    found, opened = answer(file)
    assert found == 42
    assert (opened != str(file)) is in_memory


def test_a_link_in_the_place_of_the_file_is_not_followed(file: Path) -> None:
    """Even to a file of our own."""
    planted = file.with_name("b.sqlite")
    planted.symlink_to(file)
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        open_private(planted)


def test_a_file_that_others_may_write_to_is_not_opened(file: Path) -> None:
    """Whoever made it so."""
    file.chmod(0o666)
    with pytest.raises(NotPrivate, match=r"a\.sqlite can be written to by other users"):
        open_private(file)


def test_what_is_no_file_is_not_opened(file: Path) -> None:
    """A pipe would wait for ever."""
    os.mkfifo(file.with_name("pipe"), 0o600)
    with pytest.raises(NotPrivate, match="is a link, or no file"):
        open_private(file.with_name("pipe"))


def test_what_belongs_to_another_user_is_not_opened(file: Path) -> None:
    """Neither the folder, nor a file in one of ours."""
    with somebody_else(), pytest.raises(NotPrivate, match="belongs to another user"):
        open_private(file)
    of_another = os.stat_result((0o100600, 0, 0, 1, os.geteuid() + 1, 0, 1, 0, 0, 0))
    folder = file.parent.stat()
    with (
        mock.patch("os.fstat", side_effect=[folder, of_another]),
        pytest.raises(NotPrivate, match=r"a\.sqlite belongs to another user"),
    ):
        open_private(file)

"""A folder that belongs to one user alone, so that what lies in it can be trusted.

A cache may be shared by several users, or stand where others can write. Whoever can change a compiled index
chooses which weights a name comes to. So each user has a folder of their own, and a database in it is
opened only if nobody else can have put it there. Symbolic links are not followed.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_KINDS = {stat.S_IFDIR: "folder", stat.S_IFREG: "file"}
_NO_LINK = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class NotPrivate(OSError):
    """Somebody else could have put it there."""


def private_folder(beside: Path) -> Path:
    """Return the folder of this user, made if need be: `beside` with the user's number behind its name.

    Raises:
        NotPrivate: Others may write to what is there, or it is theirs.
        OSError: It cannot be made.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    folder = beside.parent.resolve() / f"{beside.name}-{os.geteuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _check(os.lstat(folder), stat.S_IFDIR, folder)
    return folder


def open_private(file: Path) -> sqlite3.Connection:
    """Open a database in a private folder, for reading alone.

    Raises:
        NotPrivate: Others may write to it or its folder, or it is theirs, or a link.
        OSError: It cannot be read.
        sqlite3.Error: It is no database.
    """
    with _opened(file) as checked:
        if all(map(_stays, file.parent.parents)):
            address = f"{file.as_uri()}?mode=ro&immutable=1"
            return sqlite3.connect(address, uri=True, check_same_thread=False)
        content = checked.read()
    # Between the check and an opening by its path, others could put something else there.
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.deserialize(content)
    return connection


def read_private(file: Path) -> bytes:
    """Return the bytes of a file in a private folder.

    Raises:
        NotPrivate: As in `open_private`.
        OSError: It cannot be read.
    """
    with _opened(file) as checked:
        return checked.read()


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    folder = os.open(file.parent, _NO_LINK | os.O_DIRECTORY)
    try:
        _check(os.fstat(folder), stat.S_IFDIR, file.parent)
        handle = os.open(file.name, _NO_LINK | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    with open(handle, "rb") as opened:
        _check(os.fstat(handle), stat.S_IFREG, file)
        yield opened


def _check(found: os.stat_result, kind: int, path: Path) -> None:
    if stat.S_IFMT(found.st_mode) != kind:
        raise NotPrivate(f"{path} is a link, or no {_KINDS[kind]}")
    if found.st_uid != os.geteuid():
        raise NotPrivate(f"{path} belongs to another user")
    if found.st_mode & _OTHERS_WRITE:
        raise NotPrivate(f"{path} can be written to by other users")


def _stays(folder: Path) -> bool:
    """Whether nobody else can put something else in the place of what lies in a folder."""
    found = os.lstat(folder)
    return found.st_uid in (0, os.geteuid()) and (
        not found.st_mode & _OTHERS_WRITE or bool(found.st_mode & stat.S_ISVTX)
    )

"""The registries that a user added: an ordered list of names and bases in one small file.

It never holds credentials. The file is `$ZOO_CONFIG`, else `zoo/registries.yaml` in `$XDG_CONFIG_HOME` or
`~/.config`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

from zoo.errors import InvalidRef, InvalidValue, RegistryError, UnknownName, near_misses
from zoo.files import locked, write_atomically
from zoo.refs import check_name
from zoo.registry import normal_base

BUILT_IN = "zoo"
# The form in which we write the file. Reading it so saves `zoo list` the import of a YAML parser.
_WRITTEN = re.compile(r'- name: ([a-z0-9_]+)\n  base: "([^"\\\n]+)"\n')


class Configured(NamedTuple):
    """A registry that a user added: the name in refs, and where it lies."""

    name: str
    base: str


def config_file() -> Path:
    """Where the list of registries is, or would be."""
    chosen = os.environ.get("ZOO_CONFIG")
    if chosen:
        return Path(chosen).expanduser()
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return folder / "zoo" / "registries.yaml"


def read_configured() -> list[Configured]:
    """The registries that were added, in order.

    Raises:
        RegistryError: The file cannot be read, or is not such a list.
    """
    file = config_file()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"{file} cannot be read: {error}.") from None
    written = [Configured(*match) for match in _WRITTEN.findall(text)]
    found: list[Configured] = []
    for one in written if _as_text(written) == text else _read_yaml(text, str(file)):
        try:
            _check(one, found)
            if "://" not in one.base and not os.path.isabs(os.path.expanduser(one.base)):
                raise InvalidValue(f"The folder {one.base!r} is no absolute path.")
            found.append(one._replace(base=normal_base(one.base)))
        except InvalidValue as error:
            _refuse(str(file), f"entry {len(found) + 1}: {error}")
    return found


def write_configured(registries: list[Configured]) -> None:
    """Write the list, whole or not at all.

    Raises:
        InvalidValue: The file cannot be written.
    """
    write_atomically(_file_in_its_folder(), _as_text(registries).encode())


def change_configured(
    edit: Callable[[list[Configured]], list[Configured]],
) -> tuple[list[Configured], list[Configured]]:
    """Edit the list, however many others do so at the same time.

    Args:
        edit: Makes the new list of the one that is there, or refuses to by an error.

    Returns:
        The list before and after.

    Raises:
        RegistryError: The file cannot be read, or is no such list.
        InvalidValue: The file cannot be written.
    """
    with locked(_file_in_its_folder().parent):
        before = read_configured()
        after = edit(before)
        write_configured(after)
    return before, after


def with_added(registries: list[Configured], name: str, base: str) -> list[Configured]:
    """The list with one registry more, at its end.

    Raises:
        InvalidValue: The name or base is none, or the name is taken.
    """
    one = Configured(name, base)
    _check(one, registries)
    return [*registries, one]


def without(registries: list[Configured], name: str) -> list[Configured]:
    """The list without one registry.

    Raises:
        UnknownName: It is not in the list.
    """
    left = [one for one in registries if one.name != name]
    if len(left) == len(registries):
        raise UnknownName(
            f"No registry {name!r} was added. {near_misses(name, (one.name for one in registries))}"
        )
    return left


def _check(one: Configured, before: list[Configured]) -> None:
    try:
        check_name(one.name)
    except InvalidRef as error:
        raise InvalidValue(str(error)) from None
    taken = {BUILT_IN, *(other.name for other in before)}
    if one.name in taken:
        raise InvalidValue(
            f"There is a registry {one.name!r} already. Choose another name, or remove that one first."
        )
    if not one.base:
        raise InvalidValue(f"Registry {one.name!r} has no base; give a folder or an address.")
    if not one.base.isprintable():
        raise InvalidValue(f"The base {one.base!r:.200} has signs that do not print.")


def _file_in_its_folder() -> Path:
    file = config_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidValue(f"{file.parent} cannot be made: {error.strerror or error}.") from None
    return file


def _as_text(registries: list[Configured]) -> str:
    # JSON's texts are YAML's, too.
    return "".join(
        f"- name: {one.name}\n  base: {json.dumps(one.base, ensure_ascii=False)}\n"
        for one in registries
    )


def _read_yaml(text: str, source: str) -> list[Configured]:
    from zoo.registry.reader import parse_yaml

    data, _ = parse_yaml(text.encode(), source)
    if data is not None and not isinstance(data, list):
        _refuse(source, f"{data!r:.80} is no list")
    found = []
    for number, entry in enumerate(data or []):
        if not isinstance(entry, dict) or set(entry) != set(Configured._fields):
            # Its fields alone: somebody may have put a token here.
            what = ", ".join(map(repr, entry)) if isinstance(entry, dict) else "none"
            _refuse(source, f"entry {number + 1} has the fields {what:.200}")
        if not all(isinstance(value, str) for value in entry.values()):
            _refuse(source, f"entry {number + 1}: name and base are texts")
        found.append(Configured(**entry))
    return found


def _refuse(source: str, what: str) -> NoReturn:
    raise RegistryError(f"{source}: {what}. Each entry is {{name: ..., base: ...}}, nothing else.")

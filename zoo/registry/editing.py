"""Changing a registry's index where it lies: read, edit, check, and put in place of what was read.

The place itself decides whether the index is still the one that was read. If somebody else was faster, the edit
is made once more, to theirs: of several publishers at once none loses anything, and no lock is needed.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from zoo.errors import AlreadyThere, NotFound, RegistryError
from zoo.registry import INDEX
from zoo.registry.configured import read_configured
from zoo.registry.reader import SIZE_LIMIT, parse_yaml
from zoo.registry.schema import SCHEMA, read_head, read_rows
from zoo.store.fetching import fetch_bytes
from zoo.store.patience import PATIENCE, patiently
from zoo.store.places import open_place

if TYPE_CHECKING:
    from zoo.transports import Place, WritablePlace

_ATTEMPTS = 100
_LONGEST_PAUSE = 1.0
_BEGINS_JSON = frozenset('-0123456789"[{tfnNI')


class Draft(NamedTuple):
    """An index as it was read, to be edited.

    Attributes:
        data: What it says; an empty registry where there is none yet.
        content: Its bytes; None where there is none yet.
        validator: What tells whether it is still that one; None if the place does not say.
    """

    data: dict[str, Any]
    content: bytes | None
    validator: str | None


def open_registry(base: str) -> Place:
    """The place of a registry, with the credentials that it has by its name if it is a configured one."""
    names = [one.name for one in read_configured() if one.base == base]
    return open_place(base, registry=names[0] if names else None)


def read_draft(place: Place, base: str) -> Draft:
    """Read the index of a registry, whole.

    Raises:
        RegistryError: It breaks a rule.
        FetchError: It cannot be read.
    """
    source = f"{base}/{INDEX}"
    try:
        found = fetch_bytes(place, INDEX, limit=SIZE_LIMIT)
    except NotFound:
        empty = {"schema": SCHEMA, "id": _id_from(base), "serial": 0, "variants": {}}
        return Draft(empty, None, None)
    return Draft(_checked(found.content, source), found.content, found.validator)


def change_index(
    place: WritablePlace, base: str, edit: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Edit the index of a registry, however many others do so at the same time.

    Args:
        place: The registry's place.
        base: Its address, for messages.
        edit: Changes the data that it is given, or refuses to by an error. Called again if others were faster.

    Returns:
        The data that were written.

    Raises:
        RegistryError: The index breaks a rule, before or after the edit.
        FetchError: It cannot be read or written.
    """
    text = None
    for attempt in range(_ATTEMPTS):
        draft = read_draft(place, base)
        if text is not None and draft.content == text:
            return draft.data  # it was written; only the answer got lost
        edit(draft.data)
        draft.data["serial"] += 1
        text = to_yaml(draft.data, base)
        try:
            patiently(partial(_write, place, base, draft, text), PATIENCE)
        except AlreadyThere:
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.02 * 2**attempt)))  # noqa: S311 - to spread writers
        else:
            return draft.data
    raise RegistryError(
        f"{base}/{INDEX} was changed by others each of {_ATTEMPTS} times that this was about to be written. "
        "Try again later."
    )


def is_writable(place: Place) -> TypeGuard[WritablePlace]:
    """Whether files can be written to a place."""
    return hasattr(place, "create") and hasattr(place, "replace")


def to_yaml(data: dict[str, Any], base: str) -> bytes:
    """The index as YAML, which the strict reader reads back to the same data.

    Raises:
        RegistryError: The data break a rule.
    """
    import yaml

    wrong = RegistryError(
        f"{base}/{INDEX}: the entry cannot be written as YAML without a change; nothing was published."
    )
    try:
        text: bytes = yaml.dump(
            data, Dumper=_dumper(), sort_keys=False, width=100, encoding="utf-8", allow_unicode=True
        )
    except (UnicodeError, yaml.YAMLError) as error:
        raise wrong from error
    if _checked(text, f"{base}/{INDEX}") != data:
        raise wrong
    return text


def _write(place: WritablePlace, base: str, draft: Draft, text: bytes) -> None:
    if draft.content is None:
        place.create(INDEX, text)
    elif draft.validator is not None:
        place.replace(INDEX, text, validator=draft.validator)
    else:
        raise RegistryError(
            f"{base}/{INDEX} comes without a tag, so that changes of others could not be told. Nothing is written."
        )


def _checked(content: bytes, source: str) -> dict[str, Any]:
    data, lines = parse_yaml(content, source)
    for _ in read_rows(read_head(data, source, lines), source, lines, []):
        pass
    registry: dict[str, Any] = data
    return registry


def _id_from(base: str) -> str:
    """An id for a new registry: the last word of its address."""
    last = base.rstrip("/").rpartition("/")[2].partition("@")[0]
    letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in last.lower())
    words = [word for word in letters.split("-") if word]
    return "-".join(words)[:64].rstrip("-") if words and words[0][0].isalpha() else "registry"


def _dumper() -> Any:
    """Short lists on one line, no aliases, texts quoted wherever they could be read as something else."""
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the same text, in half the time
    dumper: Any = type("Dumper", (base,), {"ignore_aliases": lambda _self, _data: True})

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        quoted = value in ("", "~", "<<") or not value.isprintable() or _is_json(value)
        return dumper.represent_scalar(
            "tag:yaml.org,2002:str", value, style='"' if quoted else None
        )

    def sequence(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.SequenceNode:
        short = not any(isinstance(item, dict | list) for item in value)
        return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=short)

    dumper.add_representer(str, text)
    dumper.add_representer(list, sequence)
    return dumper


def _is_json(text: str) -> bool:
    if text.strip()[:1] not in _BEGINS_JSON:  # nearly every text, decided at once
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

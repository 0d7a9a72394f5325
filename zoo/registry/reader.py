"""A strict reader for YAML that people write and strangers send.

What it takes is the part of YAML that cannot surprise: mappings, lists and scalars. No anchors, aliases,
tags, merge keys or second documents; no key twice. A plain scalar is a number, true, false or null only
where JSON would read it as one (so `no`, `1.2.0`, `0123` and `2026-01-01` are texts); a quoted one is
always a text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from zoo.errors import RegistryError

SIZE_LIMIT = 256 * 2**20
DEPTH_LIMIT = 16

Lines = dict[tuple[str | int, ...], int]


def read_yaml(path: Path) -> tuple[Any, Lines]:
    """Read a YAML file; see `parse_yaml`.

    Raises:
        RegistryError: It cannot be read, is too large, or breaks a rule.
    """
    return parse_yaml(read_capped(path), str(path))


def read_capped(path: Path) -> bytes:
    """Return the bytes of a YAML file.

    Raises:
        RegistryError: It cannot be read, or is too large; then it is not read to its end.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror or error}.") from None
    if len(content) > SIZE_LIMIT:
        raise RegistryError(f"{path}: more than {SIZE_LIMIT} bytes; nothing of it is used.")
    return content


def parse_yaml(content: bytes, source: str) -> tuple[Any, Lines]:
    """Return the data of a YAML document, and the line (from 1) on which each place in it begins.

    Args:
        content: UTF-8 text.
        source: Where it came from, for messages.

    Raises:
        RegistryError: It breaks a rule; the message names the source, the line and the place.
    """
    import yaml

    if len(content) > SIZE_LIMIT:
        raise RegistryError(f"{source}: more than {SIZE_LIMIT} bytes; nothing of it is read.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RegistryError(f"{source}: byte {error.start} is no UTF-8.") from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(source)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise RegistryError(
            f"{source}{line}: no YAML: {getattr(error, 'problem', None) or error}."
        ) from None
    return builder.document, builder.lines


def dotted(path: Sequence[str | int]) -> str:
    """A place in a document, for messages; what a terminal would not print as it is stands escaped."""
    parts = [str(part)[:80] for part in path]
    return ".".join(part if part.isprintable() else ascii(part) for part in parts)


class _Builder:
    """Builds the data from parser events, without recursion."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.document: Any = None
        self.lines: Lines = {}
        self._documents = 0
        self._stack: list[tuple[Any, tuple[str | int, ...]]] = []
        self._key: list[str | None] = []

    def take(self, event: Any) -> None:
        """Take the next event."""
        kind = type(event).__name__
        line = event.start_mark.line + 1
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                self._refuse(line, "a second document")
        elif kind == "AliasEvent":
            self._refuse(line, "an alias; write the value out")
        elif kind == "ScalarEvent":
            self._check_plain(event, line)
            self._scalar(event, line)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._check_plain(event, line)
            self._open({} if kind == "MappingStartEvent" else [], line)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._stack.pop()
            self._key.pop()

    def _check_plain(self, event: Any, line: int) -> None:
        if event.anchor is not None:
            self._refuse(line, f"an anchor (&{event.anchor}); write the value out")
        if event.tag is not None:
            self._refuse(line, f"a tag ({event.tag}); it is not needed")

    def _open(self, container: Any, line: int) -> None:
        if len(self._stack) >= DEPTH_LIMIT:
            self._refuse(line, f"nesting deeper than {DEPTH_LIMIT}")
        path = self._add(container, line)
        self._stack.append((container, path))
        self._key.append(None)

    def _scalar(self, event: Any, line: int) -> None:
        plain = event.style is None or event.style == ""
        if self._stack and isinstance(self._stack[-1][0], dict) and self._key[-1] is None:
            container, path = self._stack[-1]
            if plain and event.value == "<<":
                self._refuse(line, "a merge key (<<); write the values out")
            if event.value in container:
                self._refuse(line, f"the key {event.value!r:.80} a second time", path)
            self._key[-1] = event.value
            return
        self._add(self._value(event.value, line) if plain else event.value, line)

    def _value(self, text: str, line: int) -> Any:
        if text in ("", "~"):
            return None
        try:
            value = json.loads(
                text, parse_constant=lambda constant: self._refuse(line, f"the number {constant}")
            )
        except ValueError:
            return text
        if isinstance(
            value, dict | list
        ):  # cannot come from one plain scalar, but is no text either
            return text
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(line, f"the number {text:.40}, which is too large")
        return value

    def _add(self, value: Any, line: int) -> tuple[str | int, ...]:
        if not self._stack:
            self.document = value
            self.lines[()] = line
            return ()
        container, path = self._stack[-1]
        if isinstance(container, list):
            path = (*path, len(container))
            container.append(value)
        else:
            key = self._key[-1]
            if key is None:
                self._refuse(line, "a key that is no text", path)
            path = (*path, key)
            container[key] = value
            self._key[-1] = None
        self.lines[path] = line
        return path

    def _refuse(self, line: int, what: str, path: tuple[str | int, ...] | None = None) -> NoReturn:
        if path is None and self._stack:
            path = self._stack[-1][1]
            key = self._key[-1]
            path = path if key is None else (*path, key)
        place = f" in {dotted(path)}" if path else ""
        what, semicolon, advice = what.partition("; ")
        raise RegistryError(
            f"{self.source}:{line}: {what}{place} is not allowed here{semicolon}{advice}."
        )

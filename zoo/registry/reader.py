"""A strict reader for YAML that people write and strangers send.

What it takes is the part of YAML that cannot surprise: mappings, lists and scalars. No anchors, aliases,
tags, directives, merge keys or second documents; no key twice. A plain scalar is a number, true, false or null only
where JSON would read it as one (so `no`, `1.2.0`, `0123` and `2026-01-01` are texts); a quoted one is
always a text. A large file is read in parts: `stream_yaml` gives the entries of one mapping one by one.
"""

from __future__ import annotations

import codecs
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

from zoo.errors import RegistryError

SIZE_LIMIT = 256 * 2**20
DEPTH_LIMIT = 16
# Places in one entry of what is read in parts; a thousand classes with their labels are a thousand.
PLACES_LIMIT = 1_000_000

_CHUNK = 2**20
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}
_decode = json.JSONDecoder().decode
_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")

_HALF = re.compile("[\ud800-\udfff]")  # of a character: a lone surrogate
# Behind each of YAML's line breaks, or the mark that some editors begin a file with.
_DIRECTIVE = re.compile(rb"(?:[\r\n]|\xc2\x85|\xe2\x80[\xa8\xa9]|\n\xef\xbb\xbf)%")

# By key or position: the line of a scalar; of a mapping or list, its line and the tree of its places.
_Mark = int | tuple[int, "_Tree"]
_Tree = dict[str | int, _Mark]


class Lines:
    """On which line (from 1) each place of a document begins."""

    def __init__(self, tree: _Tree) -> None:
        self._tree = tree

    def at(self, path: Sequence[str | int]) -> int:
        """The line of a place, or of the innermost one around it that is known."""
        line, tree = 1, self._tree
        for part in path:
            mark = tree.get(part)
            if mark is None:
                break
            line, tree = mark if isinstance(mark, tuple) else (mark, {})
        return line


class Readable(Protocol):
    """What gives bytes: a file, or what watches one."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""


class Piece(NamedTuple):
    """A part of a document.

    Attributes:
        key: Key of the entry; None for the document itself, which comes last.
        value: Its data. In the document, None stands for each entry that came before.
        lines: Lines of the places in it, by their paths in the document.
        top: What is known of the document so far.
    """

    key: str | None
    value: Any
    lines: Lines
    top: dict[str, Any]


def read_yaml(path: Path) -> tuple[Any, Lines]:
    """Read a YAML file; see `parse_yaml`.

    Raises:
        RegistryError: It cannot be read, is too large, or breaks a rule.
    """
    try:
        with open(path, "rb") as file:
            return _whole(file, str(path))
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror or error}.") from None


def parse_yaml(content: bytes, source: str) -> tuple[Any, Lines]:
    """Return the data of a YAML document, and the line on which each place in it begins.

    Args:
        content: UTF-8 text.
        source: Where it came from, for messages.

    Raises:
        RegistryError: It breaks a rule; the message names the source, the line and the place.
    """
    return _whole(io.BytesIO(content), source)


def stream_yaml(file: Readable, source: str, *, apart: str | None) -> Iterator[Piece]:
    """Yield the entries of the mapping under the top key `apart` one by one, and then the document.

    Args:
        file: UTF-8 text. It is read up to the limit on its size and no further.
        source: Where it came from, for messages.
        apart: The key; its entries are not kept. None: the document comes whole.

    Raises:
        RegistryError: It breaks a rule; the message names the source, the line and the place.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(source, apart)
    try:
        for event in yaml.parse(_Text(file, source), Loader=loader):
            take = builder.takers.get(type(event))
            if take is not None:
                take(event)
            if builder.finished is not None:
                yield builder.finished
                builder.finished = None
    except yaml.YAMLError as error:
        raise _no_yaml(error, source) from None
    yield Piece(None, builder.document, Lines(builder.lines), {})


def check_size(size: int, source: str) -> None:
    """Check that so many bytes are not too many for a registry.

    Raises:
        RegistryError: They are.
    """
    if size > SIZE_LIMIT:
        raise RegistryError(f"{source}: more than {SIZE_LIMIT} bytes; nothing of it is used.")


def dotted(path: Sequence[str | int]) -> str:
    """A place in a document, for messages; what a terminal would not print as it is stands escaped."""
    parts = [str(part)[:80] for part in path]
    return ".".join(part if part.isprintable() else ascii(part) for part in parts)


def _whole(file: Readable, source: str) -> tuple[Any, Lines]:
    (piece,) = stream_yaml(file, source, apart=None)
    return piece.value, piece.lines


def _no_yaml(error: Any, source: str) -> RegistryError:
    if (problem := getattr(error, "problem", None)) is not None:
        mark = error.problem_mark
        return RegistryError(f"{source}{f':{mark.line + 1}' if mark else ''}: no YAML: {problem}.")
    # What is no text has a position, in characters, and no line.
    where, why = (
        getattr(error, "position", 0),
        getattr(error, "reason", None) or type(error).__name__,
    )
    return RegistryError(f"{source}: no YAML: at character {where}: {why}.")


class _Text:
    """The bytes of a file, as long as they are UTF-8, not too many, and no line begins with a percent sign.

    That sign begins a directive, which nobody needs; a list of them would take the parser hours.
    """

    def __init__(self, file: Readable, source: str) -> None:
        self._file = file
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._read = 0
        self._before = b"\n"  # so many bytes as a line break may have

    def read(self, _size: int = -1) -> bytes:
        """Return some bytes; none at the end."""
        chunk = self._file.read(_CHUNK)
        waiting = len(self._decoder.getstate()[0])  # bytes of a character that is not whole yet
        try:
            self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            place = self._read - waiting + error.start
            raise RegistryError(f"{self._source}: byte {place} is no UTF-8.") from None
        if b"%" in chunk and (found := _DIRECTIVE.search(self._before + chunk)):
            place = self._read - len(self._before) + found.end() - 1
            raise RegistryError(
                f"{self._source}: byte {place}: a line that begins with % is not allowed here."
            )
        self._before = (self._before + chunk)[-4:]
        self._read += len(chunk)
        check_size(self._read, self._source)
        return chunk


class _Builder:
    """Builds the data from parser events, without recursion; `takers` says what takes which."""

    def __init__(self, source: str, apart: str | None) -> None:
        from yaml import events

        self.source = source
        self.document: Any = None
        self.lines: _Tree = {}
        self.finished: Piece | None = None
        self._apart = apart
        self._documents = 0
        self._places = 0
        self._entries: Any = None  # the mapping whose entries are given away, while it is open
        # Of each open mapping or list: its data, the lines in it, and in a mapping the key at hand.
        self._containers: list[Any] = []
        self._trees: list[_Tree] = []
        self._keys: list[str | None] = []
        self.takers: dict[type, Callable[[Any], None]] = {
            events.ScalarEvent: self._scalar,
            events.MappingStartEvent: self._mapping,
            events.SequenceStartEvent: self._list,
            events.MappingEndEvent: self._close,
            events.SequenceEndEvent: self._close,
            events.AliasEvent: self._alias,
            events.DocumentStartEvent: self._begin,
        }

    def _begin(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._refuse(event, "a second document")

    def _alias(self, event: Any) -> None:
        self._refuse(event, "an alias; write the value out")

    def _scalar(self, event: Any) -> None:
        self._check_plain(event)
        if _HALF.search(event.value):  # libyaml finds them by itself
            self._refuse(event, "half a character (a lone surrogate)")
        plain = not event.style
        if self._keys and self._keys[-1] is None and type(self._containers[-1]) is dict:
            if plain and event.value == "<<":
                self._refuse(event, "a merge key (<<); write the values out")
            if event.value in self._containers[-1]:
                self._refuse(event, f"the key {event.value!r:.80} a second time")
            self._keys[-1] = event.value
            return
        self._add(self._value(event) if plain else event.value, event.start_mark.line + 1, event)
        self._complete()

    def _mapping(self, event: Any) -> None:
        self._open({}, event)

    def _list(self, event: Any) -> None:
        self._open([], event)

    def _open(self, container: Any, event: Any) -> None:
        self._check_plain(event)
        if len(self._containers) >= DEPTH_LIMIT:
            self._refuse(event, f"nesting deeper than {DEPTH_LIMIT}")
        tree: _Tree = {}
        self._add(container, (event.start_mark.line + 1, tree), event)
        if not self._containers:
            self.lines = tree
        elif len(self._containers) == 1 and self._keys[0] == self._apart is not None:
            self._entries = container if type(container) is dict else None
        self._containers.append(container)
        self._trees.append(tree)
        self._keys.append(None)

    def _close(self, _event: Any) -> None:
        if self._containers.pop() is self._entries:
            self._entries = None
        self._trees.pop()
        self._keys.pop()
        self._complete()

    def _add(self, value: Any, mark: _Mark, event: Any) -> None:
        """Put a value into the mapping or list at hand."""
        if not self._containers:
            self.document = value
            return
        container = self._containers[-1]
        if type(container) is list:
            self._trees[-1][len(container)] = mark
            container.append(value)
        else:
            key = self._keys[-1]
            if key is None:
                self._refuse(event, "a key that is no text")
            self._trees[-1][key] = mark
            container[key] = value
        self._places += 1
        if self._entries is not None and self._places > PLACES_LIMIT:
            self._refuse(event, f"an entry of more than {PLACES_LIMIT} places")

    def _complete(self) -> None:
        """A value has come to its end: the next scalar in its mapping is a key."""
        if not self._containers:
            return
        if self._containers[-1] is self._entries:
            self._give_away()
        self._keys[-1] = None

    def _give_away(self) -> None:
        key = self._keys[-1]
        if key is None or self._apart is None:
            return
        value, self._entries[key] = self._entries[key], None
        tree: _Tree = {self._apart: (1, {key: self._trees[-1].pop(key)})}
        self.finished = Piece(key, value, Lines(tree), self._containers[0])
        self._places = 0

    def _check_plain(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(event, f"an anchor (&{event.anchor}); write the value out")
        if event.tag is not None:
            self._refuse(event, f"a tag ({event.tag}); it is not needed")

    def _value(self, event: Any) -> Any:
        """What a plain scalar says."""
        text: str = event.value
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text in _NO_NUMBERS:
            self._refuse(event, f"the number {text}; write a finite one")
        if not (text[0] == "-" or text[0].isdigit()):
            return text
        try:
            value = _decode(text)
        except ValueError:
            return text
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(event, f"the number {text:.40}; it is too large")
        return value

    def _refuse(self, event: Any, what: str) -> NoReturn:
        path: list[str | int] = []
        for container, key in zip(self._containers, self._keys, strict=True):
            if key is not None:
                path.append(key)
            elif type(container) is list and container is not self._containers[-1]:
                path.append(len(container) - 1)
        place = f" in {dotted(path)}" if path else ""
        what, semicolon, advice = what.partition("; ")
        raise RegistryError(
            f"{self.source}:{event.start_mark.line + 1}: {what}{place} is not allowed here"
            f"{semicolon}{advice}."
        )

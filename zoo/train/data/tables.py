"""Labelled texts: CSV and TSV files with named columns, and files with a label and a sentence a line.

In CSV, quotes may hold commas and newlines. In TSV every line is a row and every tab parts two fields, for texts
often begin with a quote that is none of the table's; a field that is quoted whole loses its quotes. A row is named by
the line that it begins in.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from zoo.errors import InvalidValue, counted, near_misses, some
from zoo.train.data.decoding import END, decode
from zoo.train.data.listing import Item
from zoo.train.data.request import DataRequest

SEPARATORS = {".csv": ",", ".tsv": "\t"}
# Spaces are named: older files hold other characters that Python takes for space or the end of a line.
_LINE = re.compile(r"[ \t]*([^ \t\r]+)[ \t\r]*(.*)")
_LONGEST = 2**24  # characters of a field
_ADVICE = {
    ".csv": " A field that holds a comma or a line break is to be quoted whole.",
    ".tsv": " In a TSV each line is a row and each tab parts two fields, quoted or not; a CSV can hold both in quotes.",
}
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def read_text_file(
    path: Path, request: DataRequest, *, split: str | None = None, older: str | None = None
) -> list[Item]:
    """Read the texts of a file.

    Args:
        path: A CSV or TSV file, else one with a label and a sentence a line.
        request: Says the columns of a table.
        split: That all texts belong to.
        older: The encoding of a file that is no UTF-8, where one is known; None refuses it.

    Raises:
        InvalidValue: It cannot be read, lacks a column, rows lack a label, or there is no text in it.
    """
    content = decode(_bytes(path), path.name, older=older)
    if path.suffix.lower() in SEPARATORS:
        return _filled(path, _rows(content, path, request, split), "rows below its header")
    for option in ("text", "label"):
        if getattr(request, option) is not None:
            raise InvalidValue(
                f"--{option} names a column of a CSV or TSV file; {path} has neither ending."
            )
    return _filled(path, _lines(content, path, split), "a label and a sentence a line")


def _filled(path: Path, items: Iterable[Item], expected: str) -> list[Item]:
    """The items, of which there is at least one."""
    found = list(items)
    if not found:
        raise InvalidValue(f"{path} holds no texts; expected {expected}.")
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidValue(f"{path} cannot be read: {error.strerror or error}.") from None


def _rows(content: str, path: Path, request: DataRequest, split: str | None) -> list[Item]:
    rows = iter((_tsv_rows if path.suffix.lower() == ".tsv" else _csv_rows)(content, path))
    header = [name.strip() for name in next(rows, (0, []))[1]]
    if not header:
        raise InvalidValue(
            f"{path} does not begin with a header; expected the names of its columns in the first line, e.g. "
            f"{SEPARATORS[path.suffix.lower()].join(('text', 'label'))!r}."
        )
    text = _column(request.text or "text", "text", header, path)
    label = _column(request.label or "label", "label", header, path)
    found, ragged, bare = [], [], []
    for number, row in rows:
        where = f"{path.name}:{number}"
        if row and len(row) != len(header):
            ragged.append(f"{where} has {len(row)}")
        elif row and not row[label].strip():
            bare.append(where)
        elif row:
            found.append(Item(where, row[label].strip(), row[text], split))
    of = f"of {counted(len(found) + len(ragged) + len(bare), 'row')}"
    if ragged:
        raise InvalidValue(
            f"{path.name}: {len(ragged)} {of} {_have(ragged)} not the {counted(len(header), 'field')} of the header: "
            f"{some(ragged)}.{_ADVICE[path.suffix.lower()]}"
        )
    if bare:
        raise InvalidValue(
            f"{path.name}: {len(bare)} {of} {_have(bare)} no label in the column {header[label]!r}: {some(bare)}. Write "
            "labels there, or leave these rows out."
        )
    return found


def _have(things: Sequence[str]) -> str:
    return "has" if len(things) == 1 else "have"


def _csv_rows(content: str, path: Path) -> list[tuple[int, list[str]]]:
    """The number of the first line of each row, and its fields."""
    found = []
    before = csv.field_size_limit(_LONGEST)  # of the whole process
    rows = csv.reader(io.StringIO(content, newline=""), delimiter=SEPARATORS[".csv"], strict=True)
    begin = 1
    try:
        for row in rows:
            found.append((begin, row))
            begin = rows.line_num + 1
    except csv.Error as error:
        raise InvalidValue(
            f"{path.name}:{begin}: the row that begins here is none of a table: {error}, in line {rows.line_num}. "
            "A field that holds a quote is to be quoted whole, and each quote in it doubled."
        ) from None
    finally:
        csv.field_size_limit(before)
    return found


def _tsv_rows(content: str, _path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of each line, and its fields."""
    for number, line in enumerate(END.split(content), 1):
        yield number, [_unquoted(field) for field in line.split(SEPARATORS[".tsv"])] if line else []


def _unquoted(field: str) -> str:
    quoted = _QUOTED.fullmatch(field)
    return quoted[1].replace('""', '"') if quoted else field


def _column(name: str, option: str, header: list[str], path: Path) -> int:
    if header.count(name) > 1:
        raise InvalidValue(f"{path} has {header.count(name)} columns called {name!r}.")
    if name not in header:
        raise InvalidValue(
            f"{path} has no column {name!r}. {near_misses(name, header)} Say which with --{option}."
        )
    return header.index(name)


def _lines(content: str, path: Path, split: str | None) -> Iterator[Item]:
    for number, line in enumerate(content.split("\n"), 1):
        match = _LINE.match(line)
        if match is None:  # an empty line
            continue
        yield Item(f"{path.name}:{number}", match[1], match[2].rstrip(), split)

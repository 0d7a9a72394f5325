"""What reaches the terminal: the one door for output, tables, and numbers for people.

Names, summaries and messages come from registries, files and plug-ins that strangers wrote. Whatever
is written here has its control characters escaped, so that no content can move the cursor, colour the
screen, or pretend to be a line of ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from zoo.errors import ZooError, percent
from zoo.escaping import encodable
from zoo.escaping import printable as printable  # noqa: PLC0414 - for commands, too

_GAP = "  "
_NARROWEST = 20  # a column that is wrapped gets at least so many characters


class OutputError(ZooError):
    """What was asked for is known, but cannot be written."""


def say(*lines: str) -> None:
    """Write lines to the standard output."""
    _write(sys.stdout, lines)


def say_error(*lines: str) -> None:
    """Write lines to the standard error output."""
    _write(sys.stderr, lines)


def say_json(data: Any) -> None:
    """Write data as JSON, for programs."""
    import json

    text = json.dumps(data, indent=2, allow_nan=False)
    _put(sys.stdout, text.replace("\x7f", "\\u007f") + "\n")


def say_json_list(items: Iterable[Any]) -> None:
    """Write a list as JSON, an item a line, each before the next is asked for."""
    import json

    start = "["
    for item in items:
        line = json.dumps(item, allow_nan=False).replace("\x7f", "\\u007f")
        _put(sys.stdout, f"{start}\n  {line}")
        start = ","
    _put(sys.stdout, "[]\n" if start == "[" else "\n]\n")


def complain(kind: str, message: str) -> None:
    """Write an error or a warning to the standard error output."""
    with suppress(OSError, ZooError):  # what was said before stands before
        flush()
    # Only an indented line may follow the first, so that no content can begin a line of its own.
    _write(sys.stderr, f"zoo: {kind}: {message}".replace("\n    ", "\0    ").split("\0"))


def flush() -> None:
    """See that what was said is out.

    Raises:
        OutputError: It cannot be written, e.g. to a disk that is full.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"The output cannot be written: {error.strerror or error}.") from error


def width() -> int | None:
    """Columns that a line may have; None where the output is no terminal."""
    try:
        return max(20, int(os.environ["COLUMNS"]))
    except (KeyError, ValueError):
        pass
    try:
        return max(20, os.get_terminal_size(sys.stdout.fileno()).columns)
    except (OSError, ValueError, AttributeError):
        return None


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    wrapped: int = 1,
    columns: int | None = None,
) -> list[str]:
    """Lay out a table; columns that are empty throughout are left out.

    Args:
        headings: One for each column.
        rows: The cells.
        wrapped: How many columns, from the right, may be broken into several lines.
        columns: Characters that a line may have; None for any number.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    used = [number for number in range(len(headings)) if any(row[number] for row in cells)]
    fixed = sum(number < len(headings) - wrapped for number in used)
    grid = [[headings[number].upper() for number in used]]
    grid += [[row[number] for number in used] for row in cells]
    sizes = [max(len(row[at]) for row in grid) for at in range(len(used))]
    if columns is not None and sum(sizes) + len(_GAP) * (len(sizes) - 1) > columns:
        room = columns - sum(sizes[:fixed]) - len(_GAP) * (len(sizes) - 1)
        if room < _NARROWEST * (len(sizes) - fixed):
            return _records(grid, sizes, fixed, columns)
        sizes[fixed:] = _shares(sizes[fixed:], room)
    return [line for row in grid for line in _row(row, sizes)]


def wrap(
    text: str, columns: int | None, *, indent: str = "", break_words: bool = False
) -> list[str]:
    """Break a text into lines at its spaces; every line begins with `indent`.

    Args:
        text: The text.
        columns: Characters that a line may have; None for any number.
        indent: What each line begins with.
        break_words: Break also words that are longer than a line.
    """
    plain = printable(text)
    if columns is None or len(indent) + len(plain) <= columns:
        return [indent + plain]
    from textwrap import wrap as break_lines

    broken = break_lines(
        plain,
        max(10, columns - len(indent)),
        break_long_words=break_words,
        break_on_hyphens=False,
    )
    return [indent + line for line in broken]


def count(number: int | None) -> str:
    """A number of parameters for people: `1.2 M`."""
    if number is None:
        return ""
    return str(number) if number < 1000 else _in_units(number, ("k", "M", "G"))


def size(number: int) -> str:
    """A number of bytes for people: `1.2 MB`."""
    return f"{number} B" if number < 1000 else _in_units(number, ("kB", "MB", "GB"))


def figure(name: str, metric: Mapping[str, Any]) -> str:
    """A measured figure for people: `98.70 %`, with its spread over several trainings."""
    mean, std = metric["mean"], metric.get("std")
    if _is_share(name, mean):
        return percent(mean) + (f" ± {100 * std:.2f}" if std is not None else "")
    return f"{mean:.4g}" + (f" ± {std:.2g}" if std is not None else "")


def _in_units(number: float, units: Iterable[str]) -> str:
    """The number in the first unit of which it shows less than 1000, else in the last; each is 1000 of the one before."""
    shown = ""
    for unit in units:
        number /= 1000
        shown = f"{number:.1f} {unit}"
        if round(number, 1) < 1000:
            break
    return shown


def _is_share(name: str, mean: float) -> bool:
    measure = name.rpartition("/")[2]
    return 0 <= mean <= 1 and (measure.startswith("top") or measure == "accuracy")


def _write(stream: Any, lines: Iterable[str]) -> None:
    _put(stream, encodable("".join(f"{printable(line)}\n" for line in lines), stream))


def _put(stream: Any, text: str) -> None:
    if stream is None:  # closed by whoever started the process
        return
    try:
        stream.write(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"The output cannot be written: {error.strerror or error}.") from error


def _row(cells: Sequence[str], sizes: Sequence[int]) -> list[str]:
    columns = [wrap(cell, size, break_words=True) for cell, size in zip(cells, sizes, strict=True)]
    height = max(len(column) for column in columns)
    lines = []
    for number in range(height):
        parts = [column[number] if number < len(column) else "" for column in columns]
        lines.append(
            _GAP.join(f"{part:<{size}}" for part, size in zip(parts, sizes, strict=True)).rstrip()
        )
    return lines


def _shares(sizes: Sequence[int], room: int) -> list[int]:
    """Share `room` out: the narrow columns get what they need, the wide ones equal parts of the rest."""
    shares = list(sizes)
    left, open_columns = room, sorted(range(len(sizes)), key=lambda at: sizes[at])
    while open_columns:
        narrowest = open_columns.pop(0)
        shares[narrowest] = min(sizes[narrowest], left // (len(open_columns) + 1))
        left -= shares[narrowest]
    return shares


def _records(
    grid: Sequence[Sequence[str]], sizes: Sequence[int], fixed: int, columns: int
) -> list[str]:
    """The table for a narrow terminal: what is wrapped stands under its row, and all figures if they are too wide."""
    headings, *rows = grid
    whole = sum(sizes[:fixed]) + len(_GAP) * (fixed - 1) <= columns
    lines: list[str] = []
    for row in rows:
        under = [cell for cell in row[fixed:] if cell]
        if whole:
            cells = zip(row, sizes[:fixed], strict=False)
            lines += wrap(_GAP.join(f"{cell:<{size}}" for cell, size in cells).rstrip(), columns)
        else:
            named = zip(headings[1:fixed], row[1:fixed], strict=True)
            figures = "; ".join(f"{name.lower()} {cell}" for name, cell in named if cell)
            lines += wrap(row[0], columns)
            under = [figures, *under] if figures else under
        for text in under:
            lines += wrap(text, columns, indent="    ")
    return lines

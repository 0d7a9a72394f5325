"""Tables and texts as Markdown, for pages that commands make."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table, the first row being its heading."""
    for number, row in enumerate(rows):
        yield f"| {' | '.join(as_text(cell) for cell in row)} |"
        if number == 0:
            yield "|" + " --- |" * len(row)


def as_text(text: str) -> str:
    """A text whose signs outside of `code` Markdown takes for no more than they are."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\\*_|<>\[\]])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)

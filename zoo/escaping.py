"""Texts that strangers wrote, made safe to show.

Names, summaries and reasons come from registries, files and plug-ins. What would move the cursor, colour the screen
or begin a line of its own is shown as an escape instead.
"""

from __future__ import annotations

from typing import Any


def printable(text: object) -> str:
    r"""Return `text` in one line, with everything that does not print as itself escaped (`\x1b`)."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in plain
    )


def encodable(text: str, stream: Any) -> str:
    r"""Return `text` with an escape (`\u20ac`) for each character that a stream's encoding lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)

"""Texts that strangers wrote, made safe to show.

Names, summaries and reasons come from registries, files and plug-ins. What would move the cursor, colour the screen
or begin a line of its own is shown as an escape instead.
"""

from __future__ import annotations


def printable(text: object) -> str:
    r"""Return `text` in one line, with everything that does not print as itself escaped (`\x1b`)."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in plain
    )

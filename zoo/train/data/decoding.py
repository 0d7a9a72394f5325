"""From the bytes of a text file to its text: UTF-8, or UTF-16 where its first bytes say so.

Of other encodings nothing tells one from another, and a wrong one would give words and labels that no text has.
"""

from __future__ import annotations

import codecs
import re

from zoo.errors import InvalidValue

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
END = re.compile(r"\r\n?|\n")  # of a line
_BEFORE = 20  # characters that are shown


def decode(content: bytes, source: str, *, older: str | None = None) -> str:
    """Return the text of a file.

    Args:
        content: The bytes of the file.
        source: Where they came from, for messages.
        older: The encoding of a file that is no UTF-8, where one is known; None refuses it.

    Raises:
        InvalidValue: It is in another encoding, or binary.
    """
    mark = next((mark for mark in MARKS if content.startswith(mark)), b"")
    encoding = MARKS.get(mark, "utf-8")
    content = content.removeprefix(mark)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if older is None or mark:
            raise _undecodable(error, source) from None
        text = content.decode(older)
    if "\0" in text:
        line = _line_after(text[: text.index("\0")])
        raise InvalidValue(
            f"{source}:{line}: there is a NUL character, which no text has: the file is damaged, binary, or UTF-16 "
            "without the mark at its beginning. Save it as UTF-8."
        )
    return text


def _undecodable(error: UnicodeDecodeError, source: str) -> InvalidValue:
    before = error.object[: error.start].decode(error.encoding)
    place = END.split(before)[-1][-_BEFORE:]
    encoding = "UTF-8" if error.encoding == "utf-8" else "UTF-16, which its first bytes say it is"
    return InvalidValue(
        f"{source}:{_line_after(before)}: the byte 0x{error.object[error.start]:02x} after {place!r} is no {encoding}. "
        "Texts are read as UTF-8, or UTF-16 with its mark. Mend the line or, if the whole file is in another encoding, "
        "convert it, e.g. from Latin-1 with iconv -f ISO-8859-1 -t UTF-8."
    )


def _line_after(text: str) -> int:
    """The number of the line that a text ends in, from 1."""
    return len(END.findall(text)) + 1

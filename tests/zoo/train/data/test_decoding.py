"""Text files by their encoding."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import InvalidValue
from zoo.train.data.decoding import MARKS, decode

TABLE = "text,label\ntrès bien,été\nCafé,é\n"
LOUD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(LOUD, st.sampled_from([*MARKS.items()]))
def test_what_its_mark_says_is_read(text: str, mark: tuple[bytes, str]) -> None:
    """UTF-8, and UTF-16 of either order; the mark is no text."""
    assert decode(mark[0] + text.encode(mark[1]), "a.csv") == text


def test_without_a_mark_it_is_utf_8() -> None:
    """Also where an older encoding is known, which any bytes would fit."""
    assert decode(TABLE.encode(), "a.csv") == TABLE
    assert decode(TABLE.encode(), "a.csv", older="iso-8859-1") == TABLE


def test_an_older_encoding_is_taken_where_it_is_known() -> None:
    """For a data set that was published in it."""
    assert decode(TABLE.encode("iso-8859-1"), "a.csv", older="iso-8859-1") == TABLE


@pytest.mark.parametrize("encoding", ["iso-8859-1", "cp1252", "shift-jis", "gb18030"])
def test_other_encodings_are_refused(encoding: str) -> None:
    """By the place of the first byte that is no UTF-8, with what to do."""
    content = "text,label\nplain,a\n『良い』,b\n".encode(encoding, "replace")
    content = content.replace(b"????", b"na\xefve")  # where the encoding has no such letters
    with pytest.raises(
        InvalidValue, match=r"^a.csv:3: the byte 0x\w\w after '.*' is no UTF-8.*iconv -f"
    ):
        decode(content, "a.csv")


def test_one_stray_byte_is_refused() -> None:
    """It does not turn all other letters into those of another encoding."""
    content = TABLE.encode() + b"l'\xe9t\xe9,\xc3\xa9t\xc3\xa9\r\n"
    message = re.escape('a.csv:4: the byte 0xe9 after "l\'" is no UTF-8. ')
    with pytest.raises(InvalidValue, match=message):
        decode(content, "a.csv")
    with pytest.raises(InvalidValue, match=message):
        decode(b"\xef\xbb\xbf" + content, "a.csv", older="iso-8859-1")


@pytest.mark.parametrize("mark", [mark for mark, name in MARKS.items() if "16" in name])
def test_a_cut_off_utf_16_is_refused(mark: bytes) -> None:
    """With its line, and without calling it UTF-8."""
    content = mark + TABLE.encode(MARKS[mark])[:-1]
    with pytest.raises(InvalidValue, match=r"a.csv:3: the byte .* is no UTF-16, which its first"):
        decode(content, "a.csv")


@pytest.mark.parametrize("content", [b"label,text\na,b\nc,d\0e\n", "a\nb\nü".encode("utf-16-le")])
def test_a_nul_is_refused(content: bytes) -> None:
    """With its line: it is in no text, but in every UTF-16."""
    line = 3 if content.startswith(b"label") else 1
    with pytest.raises(InvalidValue, match=rf"a.csv:{line}: there is a NUL .* Save it as UTF-8"):
        decode(content, "a.csv", older="iso-8859-1")

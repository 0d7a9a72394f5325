"""Texts that strangers wrote."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.escaping import encodable, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain äöü × 中", "plain äöü × 中"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("two\nlines\r\x07", "two\\nlines\\r\\x07"),
        ("\x9bcontrol, too", "\\x9bcontrol, too"),
        ("turn\u202eround", "turn\\u202eround"),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    """What would move the cursor, colour the screen or turn the text round is shown, not done."""
    assert printable(text) == shown


@given(st.text())
def test_every_text_becomes_one_printable_line(text: str) -> None:
    """No text at all can bring a control character or a second line to the terminal."""
    assert printable(text).isprintable()


def test_what_an_encoding_lacks_is_escaped() -> None:
    """In one that has all letters, and where none is known, nothing is."""
    for encoding, shown in (("latin-1", "ü \\u4e2d"), ("utf-8", "ü 中")):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        assert encodable("ü 中", stream) == shown
    assert encodable("ü 中", io.StringIO()) == "ü 中"

"""Markdown that commands make."""

from __future__ import annotations

from zoo.cli.markdown import as_text, table


def test_signs_of_markdown_are_only_signs_in_code() -> None:
    """Elsewhere they are written so that they show."""
    assert as_text("a * x_1 | `b * y_2` <c>") == r"a \* x\_1 \| `b * y_2` \<c\>"


def test_a_table_has_a_line_below_its_heading() -> None:
    """And as many cells in every line."""
    assert list(table([("a", "b"), ("1", "2|3")])) == [
        "| a | b |",
        "| --- | --- |",
        "| 1 | 2\\|3 |",
    ]

"""Labelled texts from tables and lines."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from zoo.errors import InvalidValue
from zoo.train.data.request import DataRequest
from zoo.train.data.tables import read_text_file


def _read(path: Path, content: str | bytes, **options: str) -> list[tuple[str, str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    items = read_text_file(path, DataRequest(what="x", **options))
    return [(item.label, str(item.content)) for item in items]


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    """Quotes, commas and newlines inside a field belong to it; other columns are ignored."""
    table = 'id,stars,review\n1,5,"good, very\ngood"\n2,1,"say ""no"""\n'
    rows = _read(tmp_path / "a.csv", table, text="review", label="stars")
    assert rows == [("5", "good, very\ngood"), ("1", 'say "no"')]


def test_long_fields_are_read_and_no_limit_is_left_changed(tmp_path: Path) -> None:
    """The limit of the csv module is that of the whole process."""
    before = csv.field_size_limit(2**28)
    try:
        rows = _read(tmp_path / "a.csv", f"label,text\nx,{'long ' * 40_000}\n")
        assert len(rows[0][1]) > 150_000
        assert csv.field_size_limit() == 2**28
    finally:
        csv.field_size_limit(before)


def test_tables_with_the_usual_columns_need_no_option(tmp_path: Path) -> None:
    """They are `text` and `label`; a TSV is separated by tabs; a mark of the encoding is no text."""
    assert _read(tmp_path / "a.tsv", "\ufefflabel\ttext\nx\ta, b\n") == [("x", "a, b")]


def test_a_quote_of_a_text_in_a_tsv_swallows_nothing(tmp_path: Path) -> None:
    """Each line is a row, and quotes belong to the text, unless they are around the whole field."""
    lines = [
        'label\t"text"',
        '1\t"Good" is not the word',
        '0\t"An opening one',
        '0\tand its end"',
        '"1"\t"quoted, with ""more"" inside"',
        '1\t"a" and "b"',
        '0\t"',
        "",
    ]
    expected = [
        ("1", '"Good" is not the word'),
        ("0", '"An opening one'),
        ("0", 'and its end"'),
        ("1", 'quoted, with "more" inside'),
        ("1", '"a" and "b"'),
        ("0", '"'),
    ]
    assert _read(tmp_path / "a.tsv", "\n".join(lines)) == expected
    assert _read(tmp_path / "a.tsv", "\r\n".join(lines)) == expected


def test_lines_have_a_label_and_a_text(tmp_path: Path) -> None:
    """Only a newline ends a line, and only blanks part the label from the text."""
    content = "0 one\u0085two\n\n 1\tthree \r\n0 \n"
    assert _read(tmp_path / "a.all", content) == [("0", "one\u0085two"), ("1", "three"), ("0", "")]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_only_unicode_is_read(tmp_path: Path, name: str) -> None:
    """What is neither UTF-8 nor says that it is UTF-16 is refused, whatever the form."""
    content = "label\ttext\n0\tcrème\n".replace("\t", "," if name == "a.csv" else "\t")
    expected = _read(tmp_path / name, content)
    assert expected[-1] == ("0", "crème")
    assert _read(tmp_path / name, content.encode("utf-16")) == expected
    with pytest.raises(InvalidValue, match=rf"{name}:2: the byte 0xe8 after '0.+cr' is no UTF-8"):
        _read(tmp_path / name, content.encode("latin-1"))


def test_a_row_is_named_by_the_line_that_it_begins_in(tmp_path: Path) -> None:
    """Where a quote is not closed, the line that it is found out in may be far away."""
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"two\nlines",a\nb,c\n')
    items = read_text_file(path, DataRequest(what="x"))
    assert [item.name for item in items] == ["a.csv:2", "a.csv:4"]
    rows = "".join(f"good film {n},a\n" for n in range(3))
    with pytest.raises(InvalidValue, match=r"^a.csv:5: the row that begins here .*, in line 8"):
        _read(path, f'text,label\n{rows}"an opening one,b\n{rows}')
    with pytest.raises(InvalidValue, match=r"^a.csv:2: the row .* expected after '\"', in line 3"):
        _read(path, 'text,label\n"one,b\n"two",c\n')


def test_a_tsv_with_a_line_break_in_quotes_is_told_what_to_do(tmp_path: Path) -> None:
    """Programs write such files, but the quotes of a TSV are its texts'."""
    with pytest.raises(
        InvalidValue,
        match=r"a.tsv:2 has 1\. In a TSV each line is a row .*; a CSV can hold",
    ):
        _read(tmp_path / "a.tsv", 'text\tlabel\n"a good\nfilm"\t1\n')


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        (
            "a.csv",
            "review,stars\n",
            {"text": "reveiw"},
            "no column 'reveiw'. Did you mean 'review'",
        ),
        ("a.csv", "review,stars\n", {}, "no column 'text'.*Say which with --text"),
        ("a.csv", "text,text,label\n", {}, "has 2 columns called 'text'"),
        (
            "a.csv",
            "text,label\na,b\na,b,c\n",
            {},
            r"a.csv: 1 of 2 rows has not the 2 fields of the header: a.csv:3 has 3\. A field that holds a comma",
        ),
        (
            "a.csv",
            "text,label\na, \nb,c\nc,\n",
            {},
            "a.csv: 2 of 3 rows have no label in the column 'label': a.csv:2, a.csv:4. Write",
        ),
        (
            "a.csv",
            'text,label\n"a" b,c\n',
            {},
            r"a.csv:2: the row that begins here is none.*in line 2\. A field",
        ),
        ("a.csv", "", {}, "does not begin with a header; .* in the first line, e.g. 'text,label'"),
        ("a.tsv", "", {}, "does not begin with a header; expected the names of its columns"),
        ("a.csv", "text,label\n\n", {}, "a.csv holds no texts; expected rows below its header"),
        ("a.txt", "\n", {}, "a.txt holds no texts; expected a label and a sentence a line"),
        (
            "a.tsv",
            'label\ttext\n\n1\t"a\tb"\n',
            {},
            "not the 2 fields of the header: a.tsv:3 has 3",
        ),
        ("a.all", "0 x", {"label": "stars"}, "--label names a column of a CSV or TSV file"),
    ],
)
def test_wrong_tables_are_refused(
    tmp_path: Path, name: str, content: str, options: dict[str, str], message: str
) -> None:
    """With the line, and the near miss of a column."""
    with pytest.raises(InvalidValue, match=message):
        _read(tmp_path / name, content, **options)


def test_of_many_wrong_rows_the_first_are_named(tmp_path: Path) -> None:
    """And all are counted, so that they can be mended at once."""
    rows = "text,label\n" + "a,b\n" * 3 + "c,\n" * 7
    names = ", ".join(f"a.csv:{line}" for line in range(5, 10))
    with pytest.raises(InvalidValue, match=f"7 of 10 rows have .*: {names} and 2 more"):
        _read(tmp_path / "a.csv", rows)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """And why."""
    with pytest.raises(InvalidValue, match=r"none.csv cannot be read: No such file"):
        read_text_file(tmp_path / "none.csv", DataRequest(what="x"))

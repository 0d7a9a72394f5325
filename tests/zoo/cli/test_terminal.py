"""What reaches the terminal."""

from __future__ import annotations

import io
import json
import sys

import pytest

from zoo.cli import terminal


def test_no_line_can_forge_another(capsys):
    """A line break inside of a line is escaped: content cannot look like a message of ours."""
    terminal.say("a summary\nzoo: error: not really")

    assert capsys.readouterr().out == "a summary\\nzoo: error: not really\n"


def test_a_terminal_that_lacks_a_character_gets_its_escape(monkeypatch):
    """On a terminal of another encoding a text is shown as well as it goes, without failing."""
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))

    terminal.say("3 × 中")
    sys.stdout.flush()

    assert buffer.getvalue() == b"3 \\xd7 \\u4e2d\n"


def test_json_is_read_back_and_holds_no_control_characters(capsys):
    """Output for programs gives every text back, and is still safe to show."""
    data = {"text": "\x1b[2J\x7f\u202e\n"}

    terminal.say_json(data)
    out = capsys.readouterr().out

    assert json.loads(out) == data
    assert out.replace("\n", "").isprintable()


ROWS = [
    ("attn_cnn_small@1.0.0", "0.3 M", "a summary of ten words that goes on and on"),
    ("b@1.0.0", "", ""),
]


def test_a_table_without_a_width_has_one_line_a_row():
    """Where the output is no terminal nothing is broken, so that grep finds whole rows."""
    assert terminal.table(("ref", "params", "summary"), ROWS) == [
        "REF                   PARAMS  SUMMARY",
        "attn_cnn_small@1.0.0  0.3 M   a summary of ten words that goes on and on",
        "b@1.0.0",
    ]


@pytest.mark.parametrize("columns", [20, 30, 50, 60, 80])
def test_a_table_keeps_to_the_width(columns):
    """No line is longer than the terminal is wide, and no word is lost."""
    lines = terminal.table(("ref", "params", "summary"), ROWS, columns=columns)

    assert max(map(len, lines)) <= columns
    words = ROWS[0][2].split()
    assert [word for word in " ".join(lines).split() if word in words] == words


def test_where_even_the_figures_of_a_row_are_too_wide_each_is_named():
    """Under the row's title, so that none stands in a place where its column cannot be told."""
    headings = ("row", "seeds", "mean", "verdict")
    rows = [("a long title", "3", "98.76 % ± 0.12", "higher"), ("b", "1", "", "")]
    assert terminal.table(headings, rows, columns=30) == [
        "a long title",
        "    seeds 3; mean 98.76 % ±",
        "    0.12",
        "    higher",
        "b",
        "    seeds 1",
    ]


def test_a_column_that_is_empty_throughout_is_left_out():
    """A table shows no heading over nothing."""
    assert terminal.table(("a", "b", "c"), [("1", "", "2")]) == ["A  C", "1  2"]


def test_cells_are_escaped():
    """A cell from a registry cannot break out of its table."""
    assert terminal.table(("a", "b"), [("x\n", "\x1b")])[1] == "x\\n  \\x1b"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, ""),
        (0, "0"),
        (999, "999"),
        (52_000, "52.0 k"),
        (300_000, "300.0 k"),
        (999_940, "999.9 k"),
        (999_960, "1.0 M"),
        (25_557_032, "25.6 M"),
        (1_500_000_000, "1.5 G"),
        (10**13, "10000.0 G"),
    ],
)
def test_counts_are_for_people(number, shown):
    """Numbers of parameters are shown in the unit that fits, after rounding, too."""
    assert terminal.count(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(999, "999 B"), (1200, "1.2 kB"), (999_960, "1.0 MB"), (999_999_999, "1.0 GB")],
)
def test_sizes_are_for_people(number, shown):
    """Numbers of bytes, likewise."""
    assert terminal.size(number) == shown


@pytest.mark.parametrize(
    ("name", "metric", "shown"),
    [
        ("mnist/test/top1", {"mean": 0.9947}, "99.47 %"),
        ("mnist/test/top1", {"mean": 0.9947, "std": 0.0012, "seeds": 3}, "99.47 % ± 0.12"),
        ("mnist/test/loss", {"mean": 0.0213456}, "0.02135"),
        ("x/test/top1", {"mean": 87.0}, "87"),
    ],
)
def test_figures_are_for_people(name, metric, shown):
    """Shares are shown in percent, everything else as it is."""
    assert terminal.figure(name, metric) == shown


def test_the_width_is_that_of_the_environment(monkeypatch):
    """COLUMNS says how wide the terminal is; nonsense in it is passed over."""
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal.width() == 72
    monkeypatch.setenv("COLUMNS", "wide")
    assert terminal.width() is None

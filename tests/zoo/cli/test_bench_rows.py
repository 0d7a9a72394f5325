"""Figures of a benchmark, as a table and as data."""

from __future__ import annotations

import pytest

import zoo
from zoo.cli.bench_rows import Contender, Row, footnote, row_data, table_lines


def row(title: str, milliseconds: list[float], **fields) -> Row:
    """A row of a model of images, at a batch of 4."""
    model = zoo.compose({"name": "plain_cnn", "widths": [4]})
    contender = Contender(title, model, (3, 8, 8), 1_200, 5_600_000)
    return Row(
        contender,
        **{"batch": 4, "milliseconds": milliseconds, "ratio": 1.0, "problem": "", **fields},
    )


def test_a_row_says_median_quartiles_and_throughput():
    """An outlier moves none of them; samples are those of the whole batch."""
    found = row("mine", [3.0, 1.0, 2.0, 4.0, 900.0])

    assert row_data(found) == {
        "model": "mine",
        "input": "image",
        "shape": [3, 8, 8],
        "batch": 4,
        "parameters": 1200,
        "multiply_adds": 5_600_000,
        "milliseconds": 3.0,
        "quartiles": [2.0, 4.0],
        "samples_per_second": pytest.approx(4000 / 3),
        "ratio": 1.0,
        "problem": None,
    }
    assert row("one", [5.0]).quartiles == (5.0, 5.0)


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0.012345, "0.0123"),
        (1.2345, "1.23"),
        (12.345, "12.3"),
        (123.45, "123"),
        (12345.0, "12,345"),
    ],
)
def test_figures_have_three_digits(milliseconds, shown):
    """Those before the point are never cut."""
    assert table_lines([row("mine", [milliseconds])])[1].split()[4] == shown


def test_a_row_that_failed_has_no_figures():
    """Its place in the table says so; as data its fields are empty."""
    failed = row("mine", [], ratio=None, problem="ValueError: no")
    cells = table_lines([failed, row("other", [2.0], ratio=None)])

    assert cells[1].split() == ["1.2", "k", "5.6", "M", "failed", "mine", "at", "3x8x8"]
    assert "RATIO" not in cells[0]
    data = row_data(failed)
    assert data["problem"] == "ValueError: no"
    assert {
        data[name] for name in ("milliseconds", "quartiles", "samples_per_second", "ratio")
    } == {None}


def test_a_narrow_terminal_breaks_the_names_alone(monkeypatch):
    """In 80 columns the figures stay in one line under their headings."""
    monkeypatch.setenv("COLUMNS", "80")
    title = "timm/resnet18 + cbam@branch(stages=3:4) + gem"
    lines = table_lines([row(title, [118.3, 120.0, 121.9])])

    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("PARAMS")
    assert lines[1].split()[4:9] == ["120", "119", "-", "121", "33.3"]


def test_the_footnote_says_what_was_timed():
    """A batch or a training step."""
    assert "Milliseconds a batch: median and quartiles of 1 round," in " ".join(
        footnote(1, training=False)
    )
    assert "Milliseconds a training step: " in " ".join(footnote(9, training=True))

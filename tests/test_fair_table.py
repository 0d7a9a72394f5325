"""The page of the fair table says what the kept figures of its trainings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.cli.terminal import figure
from zoo.train.comparison.rows import Row, make_rows
from zoo.train.comparison.runs import read_run
from zoo.train.plan import Plan, read_plan

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "fair_table.md"
KEPT = sorted((ROOT / "benchmarks" / "fair_table").glob("*"))

pytestmark = pytest.mark.skipif(
    not PAGE.is_file(), reason="only a checkout has the page and the figures"
)


@pytest.fixture(scope="module")
def plan() -> Plan:
    """What is to be trained."""
    return read_plan(ROOT / "recipes" / "fair_table.yaml")


@pytest.fixture(scope="module")
def rows(plan: Plan) -> list[Row]:
    """What was."""
    return plan.titled(make_rows([read_run(folder) for folder in KEPT], "test/top1"))


@pytest.fixture(scope="module")
def lines() -> dict[str, list[str]]:
    """The cells of each row of the page."""
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text().splitlines()
    ]
    return {row[0]: row[1:] for row in cells if row}


def test_every_training_is_one_of_the_plan(plan: Plan) -> None:
    """The same recipe for all."""
    assert KEPT
    assert all(plan.training_of(read_run(folder)) for folder in KEPT)


def test_the_page_has_the_figures(rows: list[Row], lines: dict[str, list[str]]) -> None:
    """Digit for digit."""
    for row in rows:
        said = figure("top1", {"mean": row.mean, "std": row.std}) if row.values else "missing"
        assert lines[row.title][:2] == [f"{len(row.values)} of 3", said]

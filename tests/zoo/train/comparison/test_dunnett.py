"""Dunnett's test, against what he published and against Student's."""

from __future__ import annotations

import math
from statistics import fmean

import pytest

from zoo.train.comparison.dunnett import probabilities

# Red blood counts of animals without a drug, and with each of two: the example of 1955.
CONTROL = (7.40, 8.50, 7.20, 8.24, 9.84, 8.32)
DRUGS = ((9.76, 8.80, 7.68, 9.36), (12.80, 9.68, 12.16, 9.20, 10.55))


def test_the_example_of_the_paper() -> None:
    """Groups of 6, 4 and 5: the second drug alone differs, at 5 % and at 1 %."""
    first, second = probabilities(
        [fmean(drug) - fmean(CONTROL) for drug in DRUGS],
        [len(drug) for drug in DRUGS],
        control=len(CONTROL),
        std=1.17496,
        freedom=12,
    )
    assert first == pytest.approx(0.620, abs=1e-3)
    assert second == pytest.approx(0.0058, abs=1e-4)


@pytest.mark.parametrize(
    ("freedom", "groups", "critical"),
    [(5, 1, 2.57), (5, 2, 3.03), (5, 5, 3.62), (10, 3, 2.76), (20, 2, 2.38), (20, 4, 2.65)],
)
def test_published_critical_values(freedom: int, groups: int, critical: float) -> None:
    """Two-sided, at 5 %, for groups of one size."""
    differences = [critical * math.sqrt(2 / 4)] * groups
    for found in probabilities(differences, [4] * groups, control=4, std=1.0, freedom=freedom):
        assert found == pytest.approx(0.05, abs=4e-4)


@pytest.mark.parametrize("freedom", [1, 2, 5, 30])
@pytest.mark.parametrize("t", [0.0, 0.5, 2.0, 10.0])
def test_of_one_group_it_is_students_test(t: float, freedom: int) -> None:
    """With groups of different size."""
    from scipy import stats

    difference = t * 0.1 * math.sqrt(1 / 3 + 1 / 2)
    (found,) = probabilities([-difference], [2], control=3, std=0.1, freedom=freedom)
    assert found == pytest.approx(2 * stats.t.sf(t, freedom), abs=1e-5)

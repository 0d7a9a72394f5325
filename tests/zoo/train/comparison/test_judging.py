"""Intervals, and which differences are noise: each test by a worked example."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from zoo.train.comparison.dunnett import probabilities
from zoo.train.comparison.judging import intervals, judge, judge_models, pooled
from zoo.train.comparison.rows import Row, make_rows
from zoo.train.comparison.runs import read_run

MakeRun = Callable[..., Path]


@pytest.mark.parametrize(("values", "end"), [((0.9, 0.99), 1), ((0.01, 0.1), 0)])
def test_an_interval_ends_where_shares_do(values: tuple[float, float], end: int) -> None:
    """Of two seeds Student's reaches far beyond; the other end stays."""
    (interval,) = intervals([Row("row", (), values)])
    assert interval is not None
    assert interval[end] == end
    assert 0.0 < interval[1 - end] < 1.0


def test_a_clear_difference_is_told_from_noise(make_run: MakeRun) -> None:
    """Three seeds each: 10 points apart with a spread of 0.1 is a difference, 0.05 apart is noise."""
    se, eca = [{"name": "se", "slot": "branch"}], [{"name": "eca", "slot": "branch"}]
    runs = []
    for seed, jitter in enumerate((-0.001, 0.0, 0.001)):
        runs.append(read_run(make_run(f"none{seed}", 0.80 + jitter, seed=seed)))
        runs.append(read_run(make_run(f"se{seed}", 0.90 + jitter, seed=seed, attention=se)))
        runs.append(read_run(make_run(f"eca{seed}", 0.8005 - jitter, seed=seed, attention=eca)))
    rows = make_rows(runs, "validation/top1")
    none, better, same = judge(rows, rows[0])
    assert none is None
    assert better is not None
    assert not better.is_noise
    assert better.difference == pytest.approx(0.1)
    assert same is not None
    assert same.is_noise


def test_all_rows_are_tested_together_by_a_pooled_deviation() -> None:
    """The deviation by hand: squares of 0.01 and 0.02, each twice, over four degrees of freedom."""
    rows = [
        Row("none", (), (0.80, 0.81, 0.82)),
        Row("se", (), (0.82, 0.84, 0.86)),
        Row("eca", (), (0.83,)),
    ]
    std = (2.5e-4) ** 0.5
    assert pooled(rows) == pytest.approx((std, 4))
    expected = probabilities([0.03, 0.02], [3, 1], control=3, std=std, freedom=4)
    found = [verdict.probability for verdict in judge(rows, rows[0])[1:] if verdict is not None]
    assert found == pytest.approx(expected)


def test_a_row_of_one_seed_is_judged_by_the_spread_of_the_others() -> None:
    """Its interval is the wider one, by the root of three; rows that nobody trained have none."""
    rows = [Row("none", (), (0.80, 0.81, 0.82)), Row("se", (), (0.90,)), Row("eca", (), ())]
    three, one, empty = intervals(rows)
    assert three is not None
    assert one is not None
    assert one[1] - one[0] == pytest.approx(3**0.5 * (three[1] - three[0]))
    assert empty is None
    none, se, eca = judge(rows, rows[0])
    assert (none, eca) == (None, None)
    assert se is not None
    assert not se.is_noise


def test_without_any_spread_nothing_can_be_said() -> None:
    """Equal figures by chance are no proof of a difference."""
    rows = [Row("none", (), (0.8, 0.8)), Row("se", (), (0.9, 0.9))]
    verdict = judge(rows, rows[0])[1]
    assert verdict is not None
    assert verdict.probability is None


def test_one_seed_says_nothing(make_run: MakeRun) -> None:
    """No spread is known, so no difference is claimed."""
    se = [{"name": "se", "slot": "branch"}]
    rows = make_rows(
        [read_run(make_run("a", 0.5)), read_run(make_run("b", 0.9, attention=se))],
        "validation/top1",
    )
    assert rows[0].std is None
    assert intervals(rows) == [None, None]
    verdict = judge(rows, rows[0])[1]
    assert verdict is not None
    assert verdict.is_noise
    assert verdict.probability is None


def test_models_are_compared_on_the_samples_they_differ_on() -> None:
    """McNemar's exact test by hand: 1 against 9 of 10 gives 2 (1 + 10) / 1024."""
    base = torch.zeros(100, dtype=torch.bool)
    base[:50] = True
    other = base.clone()
    other[0], other[50:59] = False, True
    first, second = judge_models([base, other], 0)
    assert first is None
    assert second is not None
    assert second.difference == pytest.approx(0.08)
    assert second.probability == pytest.approx(22 / 1024)
    assert not second.is_noise


def test_a_model_compared_with_its_copy_is_noise() -> None:
    """They differ on no sample."""
    hits = torch.tensor([True, False, True])
    verdict = judge_models([hits, hits.clone()], 0)[1]
    assert verdict is not None
    assert verdict.probability == 1.0


def test_the_interval_of_a_model_is_wilsons() -> None:
    """For 8 of 10 right, by the formula with z = 1.959964."""
    low, high = intervals([Row("model", (), (0.8,), samples=10)])[0] or (0.0, 0.0)
    z = 1.959964
    centre, width = (0.8 + z * z / 20) / (1 + z * z / 10), 1 + z * z / 10
    half = z * (0.8 * 0.2 / 10 + z * z / 400) ** 0.5 / width
    assert (low, high) == pytest.approx((centre - half, centre + half), rel=1e-5)


def test_nothing_is_said_where_nothing_varies(make_run: MakeRun) -> None:
    """Two seeds of one figure each have no spread to judge a difference by."""
    runs = [read_run(make_run(f"a{seed}", 0.8, seed=seed)) for seed in (0, 1)]
    se = [{"name": "se", "slot": "branch"}]
    runs += [read_run(make_run(f"b{seed}", 0.9, seed=seed, attention=se)) for seed in (0, 1)]
    rows = make_rows(runs, "validation/top1")
    _, verdict = judge(rows, rows[0])
    assert verdict is not None
    assert verdict.probability is None

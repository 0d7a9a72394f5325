"""Rows over seeds: what belongs together, and what must not be compared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from shlex import quote

import pytest

from zoo.errors import InvalidValue, UnknownName
from zoo.train.comparison.judging import intervals
from zoo.train.comparison.rows import make_rows
from zoo.train.comparison.runs import read_run

MakeRun = Callable[..., Path]


def test_runs_that_differ_by_seed_are_one_row(make_run: MakeRun) -> None:
    """Mean, standard deviation and interval as in a worked example by hand: 0.80, 0.82, 0.84."""
    folders = [make_run(f"run{seed}", 0.80 + 0.02 * seed, seed=seed) for seed in range(3)]
    (row,) = make_rows([read_run(folder) for folder in folders], "validation/top1")
    assert row.title == "none"
    assert row.mean == pytest.approx(0.82)
    assert row.std == pytest.approx(0.02)
    half = 4.30265 * 0.02 / 3**0.5
    assert intervals([row])[0] == pytest.approx((0.82 - half, 0.82 + half), rel=1e-5)


def test_the_same_seed_twice_is_refused(make_run: MakeRun) -> None:
    """A copy of a run must not pass for a second seed."""
    runs = [read_run(make_run(name, 0.8)) for name in ("a", "b")]
    with pytest.raises(InvalidValue, match="same training with the same seed"):
        make_rows(runs, "validation/top1")


def test_runs_on_two_data_sets_are_refused(make_run: MakeRun) -> None:
    """Their figures do not compare; the command for those of the first is said, as long as it can be read."""
    names = {"a": "squares", "b": "circles", "my c": "squares"}
    a, b, c = (make_run(name, 0.8, data=data) for name, data in names.items())
    runs = [read_run(folder) for folder in (a, b, c)]
    message = (
        f"{b} is on circles, the runs before it are on squares; compare one data set at a time"
    )
    with pytest.raises(
        InvalidValue, match=re.escape(f"{message}: zoo compare {a} {quote(str(c))}") + "$"
    ):
        make_rows(runs, "validation/top1")
    with pytest.raises(InvalidValue, match=re.escape(message) + r"\.$"):
        make_rows(runs + runs[:1] * 8, "validation/top1")


def test_a_figure_that_a_run_lacks_is_named(make_run: MakeRun) -> None:
    """With the options that measure it, and no figure of another split, however like its name is."""
    run = read_run(make_run("a", 0.8))
    run = run._replace(figures={**run.figures, "train/top1": 0.9})
    with pytest.raises(
        UnknownName, match=r"has no test/top1 yet, which --data \(and --root\) measures\.$"
    ):
        make_rows([run], "test/top1")


def test_seeds_on_other_samples_are_refused(make_run: MakeRun) -> None:
    """A folder that has grown has its name still; runs of before samples were noted pass."""
    folders = [make_run(name, 0.8, seed=seed) for seed, name in enumerate("abc")]
    for folder, digest in zip(folders[1:], "12", strict=True):
        run = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**run, "digests": {"test": digest}}))
    runs = [read_run(folder) for folder in folders]
    assert len(make_rows(runs[:2], "validation/top1")) == 1
    with pytest.raises(InvalidValue, match=r"b and .*c are the same training, but the test split"):
        make_rows(runs, "validation/top1")


def test_rows_on_other_samples_of_one_name_are_refused(make_run: MakeRun) -> None:
    """The name of data is that of their folder; other splits of them are meant to differ, and the titles say so."""
    se = [{"name": "se", "slot": "branch"}]
    folders = [make_run("a", 0.8), make_run("b", 0.9, attention=se), make_run("c", 0.7, epochs=3)]
    for folder, digest in zip(folders[1:], "12", strict=True):
        run = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**run, "digests": {"validation": digest}}))
    runs = [read_run(folder) for folder in folders]
    assert len(make_rows(runs[:2], "validation/top1")) == 2
    with pytest.raises(InvalidValue, match=r"b and .*c were trained on data that are both called"):
        make_rows(runs, "validation/top1")
    runs[2] = runs[2]._replace(conditions={"split_seed": 1})
    assert "split_seed 1" in make_rows(runs, "validation/top1")[2].title


def test_a_run_of_before_a_field_was_added_is_a_seed_as_others(make_run: MakeRun) -> None:
    """What its recipe does not say is the default."""
    folders = [make_run(name, 0.8, seed=seed) for seed, name in enumerate("ab")]
    run = json.loads((folders[1] / "run.json").read_text())
    run["recipe"]["whiten"] = False
    (folders[1] / "run.json").write_text(json.dumps(run))
    (row,) = make_rows([read_run(folder) for folder in folders], "validation/top1")
    assert (row.title, len(row.values)) == ("none", 2)


def test_runs_that_began_otherwise_are_rows_of_their_own(make_run: MakeRun) -> None:
    """With other weights, or on other splits; the titles say so."""
    folders = [make_run(name, 0.8, seed=seed) for seed, name in enumerate("abc")]
    run = json.loads((folders[1] / "run.json").read_text())
    run["spec"]["backbone"]["pretrained"] = True
    run["started_from"] = {"pretrained": run["spec"]["backbone"]["name"]}
    (folders[1] / "run.json").write_text(json.dumps(run))
    run = json.loads((folders[2] / "run.json").read_text())
    (folders[2] / "run.json").write_text(json.dumps({**run, "request": {"split_seed": 3}}))
    rows = make_rows([read_run(folder) for folder in folders], "validation/top1")
    assert len(rows) == len({row.title for row in rows}) == 3
    assert "pretrained=true" in rows[1].title
    assert "started_from" not in rows[1].title
    assert "split_seed 3" in rows[2].title


def test_an_older_run_with_pretrained_weights_is_none_without(make_run: MakeRun) -> None:
    """Its spec does not say that it began with them; what was noted beside it does."""
    folders = [make_run(name, 0.8) for name in "ab"]
    run = json.loads((folders[1] / "run.json").read_text())
    before = {"started_from": {"pretrained": "timm/net"}}
    (folders[1] / "run.json").write_text(json.dumps({**run, **before}))
    rows = make_rows([read_run(folder) for folder in folders], "validation/top1")
    assert [row.title for row in rows] == ["none", "none, started_from pretrained=timm/net"]

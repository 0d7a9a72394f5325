"""Comparing runs: rows over seeds, intervals, and which differences are noise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo.errors import InvalidValue, UnknownName
from zoo.spec import Spec
from zoo.train.comparison import (
    Row,
    Which,
    intervals,
    judge,
    judge_models,
    make_rows,
    pooled,
    read_run,
)
from zoo.train.dunnett import probabilities
from zoo.train.run_folder import RunFolder

MakeRun = Callable[..., Path]


def keep(folder: Path, which: Which, figures: dict[str, float]) -> None:
    """Write down figures of a run's model, as it is now."""
    run = RunFolder(folder)
    run.keep_evaluation(run.digest(which), figures)


def test_runs_that_differ_by_seed_are_one_row(make_run: MakeRun) -> None:
    """Mean, standard deviation and interval as in a worked example by hand: 0.80, 0.82, 0.84."""
    folders = [make_run(f"run{seed}", 0.80 + 0.02 * seed, seed=seed) for seed in range(3)]
    (row,) = make_rows([read_run(folder) for folder in folders], "validation/top1")
    assert row.title == "none"
    assert row.mean == pytest.approx(0.82)
    assert row.std == pytest.approx(0.02)
    half = 4.30265 * 0.02 / 3**0.5
    assert intervals([row])[0] == pytest.approx((0.82 - half, 0.82 + half), rel=1e-5)


@pytest.mark.parametrize(("values", "end"), [((0.9, 0.99), 1), ((0.01, 0.1), 0)])
def test_an_interval_ends_where_shares_do(values: tuple[float, float], end: int) -> None:
    """Of two seeds Student's reaches far beyond; the other end stays."""
    (interval,) = intervals([Row("row", (), values)])
    assert interval is not None
    assert interval[end] == end
    assert 0.0 < interval[1 - end] < 1.0


def test_rows_are_named_by_what_differs(make_run: MakeRun) -> None:
    """By the attentions where only these differ, and by fields of the recipe."""
    se = [{"name": "se", "slot": "branch"}]
    folders = [make_run("a", 0.8), make_run("b", 0.8, attention=se), make_run("c", 0.8, epochs=3)]
    rows = make_rows([read_run(folder) for folder in folders], "validation/top1")
    assert [row.title for row in rows] == [
        "none, epochs 2",
        "se@branch, epochs 2",
        "none, epochs 3",
    ]


def test_rows_are_told_apart_by_what_is_out_of_the_ordinary(make_run: MakeRun) -> None:
    """In few words: nothing is said of the usual, and what a run began with has a short name."""
    changes: dict[str, dict[str, Any]] = {
        "usual": {},
        "seed": {"request": {"split_seed": 3}},
        "held": {"request": {"hold_out": "speaker=ann"}},
        "file": {"started_from": {"sha256": "ab" * 32, "recipe": {"epochs": 3}}},
        "version": {"started_from": {"ref": "net@1.0.0"}},
    }
    runs = []
    for name, change in changes.items():
        folder = make_run(name, 0.8)
        asked = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**asked, **change}))
        runs.append(read_run(folder))
    assert [row.title for row in make_rows(runs, "validation/top1")] == [
        "none",
        "none, split_seed 3",
        "none, hold_out speaker=ann",
        "none, started_from abababababab",
        "none, started_from ref=net@1.0.0",
    ]


def test_rows_are_told_apart_by_classes_augmentations_and_at_last_by_folders(
    make_run: MakeRun,
) -> None:
    """No two rows have one title."""
    runs = []
    for name, labels, augment in (
        ("a", ["x", "y"], [{"name": "flip"}]),
        ("b", ["x", "z"], [{"name": "crop", "padding": 2}]),
        ("c", ["x", "z"], [{"name": "crop", "padding": 2}]),
    ):
        run = read_run(make_run(name, 0.8))
        output = {"kind": "classes", "labels": labels}
        spec = Spec.from_data({**run.spec.to_data(), "output": output})
        runs.append(run._replace(spec=spec, recipe={**run.recipe, "augment": augment}))
    other = {**runs[2].spec.to_data(), "backbone": {"name": "resnet_cifar", "depth": 20}}
    runs[2] = runs[2]._replace(spec=Spec.from_data(other))
    first, *rest = [row.title for row in make_rows(runs, "validation/top1")]
    assert first.endswith(", augment [flip], classes x, y")
    assert all(title.endswith(", augment [crop(padding=2)], classes x, z") for title in rest)
    assert len({first, *rest}) == 3


def test_the_last_epoch_is_compared_unless_the_best_is_asked_for(make_run: MakeRun) -> None:
    """Nothing is chosen by default."""
    folder = make_run("run", 0.8)
    assert read_run(folder).figures["validation/top1"] == 0.8
    assert read_run(folder, "best").figures["validation/top1"] == pytest.approx(0.81)


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


@pytest.mark.parametrize("content", ["{", "[]", '{"best": {}}', '{"history": [], "seconds": 1}'])
def test_a_result_that_cannot_be_read_is_not_one_that_is_missing(
    make_run: MakeRun, content: str
) -> None:
    """Of a run that has not ended the advice is to go on with it; a broken file is to go before."""
    folder = make_run("run", 0.8)
    (folder / "result.json").write_text(content)
    with pytest.raises(
        InvalidValue, match=r"result\.json cannot be read \(\w+Error: .*\)\. Delete it"
    ):
        read_run(folder)
    (folder / "result.json").unlink()
    with pytest.raises(
        InvalidValue, match=r"has no result yet\. Go on with it: zoo train --resume"
    ):
        read_run(folder)


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


def test_figures_measured_afterwards_belong_to_the_file_they_were_measured_on(
    make_run: MakeRun,
) -> None:
    """When the file changes they are no longer said of it."""
    folder = make_run("run", 0.8)
    keep(folder, "last", {"test/top1": 0.75})
    assert read_run(folder).figures["test/top1"] == 0.75
    assert "test/top1" not in read_run(folder, "best").figures
    (folder / "last.safetensors").write_bytes(b"trained on")
    assert "test/top1" not in read_run(folder).figures


def test_the_same_seed_twice_is_refused(make_run: MakeRun) -> None:
    """A copy of a run must not pass for a second seed."""
    runs = [read_run(make_run(name, 0.8)) for name in ("a", "b")]
    with pytest.raises(InvalidValue, match="same training with the same seed"):
        make_rows(runs, "validation/top1")


def test_runs_on_two_data_sets_are_refused(make_run: MakeRun) -> None:
    """Their figures do not compare."""
    runs = [read_run(make_run("a", 0.8)), read_run(make_run("b", 0.8, data="circles"))]
    with pytest.raises(InvalidValue, match="b is on circles, the runs before it are on squares"):
        make_rows(runs, "validation/top1")


def test_a_figure_that_a_run_lacks_is_named(make_run: MakeRun) -> None:
    """With those there are."""
    with pytest.raises(
        UnknownName,
        match=r"has no test/top1 yet, which --data .* measures\. Known: 'validation/top1\'",
    ):
        make_rows([read_run(make_run("a", 0.8))], "test/top1")


def test_a_run_that_has_not_ended_is_told(make_run: MakeRun) -> None:
    """With the command that goes on."""
    folder = make_run("a", 0.8)
    (folder / "result.json").unlink()
    with pytest.raises(
        InvalidValue, match=r"has no result yet\. Go on with it: zoo train --resume"
    ):
        read_run(folder)


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


def test_nothing_is_said_where_nothing_varies(make_run: MakeRun) -> None:
    """Two seeds of one figure each have no spread to judge a difference by."""
    runs = [read_run(make_run(f"a{seed}", 0.8, seed=seed)) for seed in (0, 1)]
    se = [{"name": "se", "slot": "branch"}]
    runs += [read_run(make_run(f"b{seed}", 0.9, seed=seed, attention=se)) for seed in (0, 1)]
    rows = make_rows(runs, "validation/top1")
    _, verdict = judge(rows, rows[0])
    assert verdict is not None
    assert verdict.probability is None

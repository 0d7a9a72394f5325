"""Figures of runs as a registry keeps them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.errors import InvalidValue, UnknownName
from zoo.train.comparison.runs import Which
from zoo.train.publication import figures_of_runs
from zoo.train.run_folder import RunFolder

MakeRun = Callable[..., Path]


def keep(folder: Path, which: Which, figures: dict[str, float]) -> None:
    """Write down figures of a run's model, as it is now."""
    run = RunFolder(folder)
    run.keep_evaluation(run.digest(which), figures)


def test_several_seeds_give_mean_deviation_and_the_value_of_the_first(make_run: MakeRun) -> None:
    """Of the best epoch, whose figure stands 0.01 above the last; by hand: 0.81, 0.83, 0.85."""
    folders = [make_run(f"run{seed}", 0.80 + 0.02 * seed, seed=seed) for seed in range(3)]
    figures = figures_of_runs([folders[2], folders[0], folders[1]])
    assert figures == {
        "squares/validation/top1": {"mean": 0.83, "std": 0.02, "seeds": 3, "value": 0.85}
    }


def test_what_was_measured_afterwards_comes_along(make_run: MakeRun) -> None:
    """Accuracies of the best model; a loss is none, and the last model's are of other weights."""
    folders = [make_run(f"run{seed}", 0.8, seed=seed) for seed in range(2)]
    for number, folder in enumerate(folders):
        keep(folder, "best", {"test/top1": 0.7 + 0.1 * number, "test/loss": 1})
        keep(folder, "last", {"test/top1": 0.1})
    assert figures_of_runs(folders)["squares/test/top1"] == pytest.approx(
        {"mean": 0.75, "std": 0.070711, "seeds": 2, "value": 0.7}
    )
    assert figures_of_runs(folders[:1]) == {"squares/test/top1": {"mean": 0.7, "seeds": 1}}


def test_a_figure_of_some_runs_only_is_refused(make_run: MakeRun) -> None:
    """A mean over two of three would be called one over three."""
    folders = [make_run(f"run{seed}", 0.8, seed=seed) for seed in range(3)]
    for folder in folders[:2]:
        keep(folder, "best", {"test/top1": 0.7})
    with pytest.raises(UnknownName, match="run2 has no test/top1"):
        figures_of_runs(folders)


def test_different_trainings_are_refused(make_run: MakeRun) -> None:
    """They are no seeds of one."""
    folders = [make_run("a", 0.8), make_run("b", 0.8, seed=1, epochs=3)]
    with pytest.raises(
        InvalidValue, match=r"a \(none, epochs 2\) and .*b \(none, epochs 3\) are diff"
    ):
        figures_of_runs(folders)


def test_the_same_seed_twice_is_refused(make_run: MakeRun) -> None:
    """It would count as two."""
    folders = [make_run("a", 0.8), make_run("b", 0.8)]
    with pytest.raises(InvalidValue, match="the same training with the same seed"):
        figures_of_runs(folders)


def test_a_run_that_has_not_ended_is_refused(make_run: MakeRun) -> None:
    """A version stays for good; whoever wants the best epoch so far names its file."""
    folders = [make_run("a", 0.8), make_run("b", 0.8, seed=1)]
    (folders[0] / "result.json").unlink()
    with pytest.raises(InvalidValue, match=r"a has not ended.*by naming the file: .*a/best\.safe"):
        figures_of_runs(folders[:1])
    with pytest.raises(InvalidValue, match="a has no result yet"):
        figures_of_runs(folders)

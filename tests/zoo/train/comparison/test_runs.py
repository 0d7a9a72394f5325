"""Reading runs: figures of the best or the last epoch, and what is wrong with a run that has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.errors import InvalidValue
from zoo.train.comparison.runs import Which, read_run
from zoo.train.run_folder import RunFolder

MakeRun = Callable[..., Path]


def keep(folder: Path, which: Which, figures: dict[str, float]) -> None:
    """Write down figures of a run's model, as it is now."""
    run = RunFolder(folder)
    run.keep_evaluation(run.digest(which), figures)


def test_the_last_epoch_is_compared_unless_the_best_is_asked_for(make_run: MakeRun) -> None:
    """Nothing is chosen by default."""
    folder = make_run("run", 0.8)
    assert read_run(folder).figures["validation/top1"] == 0.8
    assert read_run(folder, "best").figures["validation/top1"] == pytest.approx(0.81)


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


def test_a_run_that_has_not_ended_is_told(make_run: MakeRun) -> None:
    """With the command that goes on."""
    folder = make_run("a", 0.8)
    (folder / "result.json").unlink()
    with pytest.raises(
        InvalidValue, match=r"has no result yet\. Go on with it: zoo train --resume"
    ):
        read_run(folder)

"""`zoo train --plan`: what is missing of a plan is trained, and nothing twice."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import zoo
from zoo.cli import main
from zoo.files import reserved
from zoo.train.callbacks import KeepBest
from zoo.train.data import open_data
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder

PLAN = """\
data: squares
seeds: [0, 1]
recipe: {epochs: 2, batch_size: 16}
specs:
  none: plain_cnn(widths=[4], depths=[1]) + avg
  se@last: plain_cnn(widths=[4], depths=[1]) + se@last + avg
"""

TAKEN = 9
RESERVE = f"""
import sys
from pathlib import Path
from zoo.files import reserved
with reserved(Path(sys.argv[1])) as free:
    sys.exit(0 if free else {TAKEN})
"""


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """A folder of dark and of bright images."""
    random = np.random.default_rng(0)
    folder = tmp_path / "squares"
    for label, base in (("dark", 0), ("bright", 120)):
        (folder / label).mkdir(parents=True)
        for number in range(30):
            pixels = random.integers(base, base + 100, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def words(squares: Path, tmp_path: Path) -> list[str]:
    """The command."""
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    return ["train", "--plan", str(plan), "--data", str(squares), "--threads", "1", "--output", str(tmp_path / "runs")]  # fmt: skip


def ended(runs: Path) -> list[str]:
    """The trainings that came to their end."""
    return sorted(path.parent.name for path in runs.glob("*/result.json"))


def test_all_of_a_plan_is_trained_and_compared(
    words: list[str], squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What its recipe leaves out is filled in, so that every run is found in the plan; a second call does nothing."""
    runs, plan = tmp_path / "runs", words[2]
    assert main([*words, "--only", "se@last"]) == 0
    assert ended(runs) == ["se_last-seed0", "se_last-seed1"]
    assert main(words) == 0
    assert ended(runs) == ["none-seed0", "none-seed1", "se_last-seed0", "se_last-seed1"]
    said = capsys.readouterr().out
    assert "none-seed1 (3 of 4)" in said
    assert said.endswith(f"Compare: zoo compare {runs}/* --plan {plan} --data {squares}\n")
    assert main(words) == 0
    assert "epoch" not in capsys.readouterr().out
    folders = [str(path) for path in sorted(runs.iterdir())]
    assert main(["compare", *folders, "--plan", plan, "--json", "--threads", "1"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert [row["row"] for row in table["rows"]] == ["none", "se@last"]
    assert table["missing"] == []


def test_a_training_that_diverges_leaves_the_others_to_be_trained(
    words: list[str], squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named when it happens and at the end; so again at the next call, which trains nothing twice."""
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN.replace("16}", "16, optimizer: sgd, learning_rate: 1.0e+30}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.train.task.make_optimizer", _tame_seed_one)
        assert main(words) == 2
    said = capsys.readouterr()
    assert ended(tmp_path / "runs") == ["none-seed1", "se_last-seed1"]
    assert "none-seed0 (1 of 4): The loss became" in said.err
    assert "The losses of none-seed0, se_last-seed0 became no numbers; all else" in said.err


def _tame_seed_one(model: zoo.Model, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=recipe.learning_rate if recipe.seed == 0 else 0.1)


def test_what_was_stopped_goes_on_and_is_missing_until_then(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the same command; the others of the plan compare meanwhile."""
    runs, stop = tmp_path / "runs", KeepBest.on_train_epoch_end

    def stop_at_the_second(self: KeepBest, trainer: object, module: object) -> None:
        stop(self, trainer, module)
        if (runs / "none-seed0" / "result.json").exists():
            os.kill(os.getpid(), signal.SIGTERM)  # which no shell has had ignored

    with monkeypatch.context() as patched:
        patched.setattr(KeepBest, "on_train_epoch_end", stop_at_the_second)
        assert main(words) == 143
    assert ended(runs) == ["none-seed0"]
    folders = [str(path) for path in sorted(runs.iterdir())]
    assert len(folders) == 2
    capsys.readouterr()
    assert main(["compare", *folders, "--plan", words[2], "--json", "--threads", "1"]) == 0
    missing = ["se_last-seed0", "none-seed1", "se_last-seed1"]
    assert json.loads(capsys.readouterr().out)["missing"] == missing
    assert main(["compare", folders[1], "--plan", words[2], "--threads", "1"]) == 2
    assert "None of these runs has ended" in capsys.readouterr().err
    assert main([*words, "--only", "se@last"]) == 0
    history = json.loads((runs / "se_last-seed0" / "result.json").read_text())["history"]
    assert [figures["epoch"] for figures in history] == [1, 2]


def test_what_ended_before_its_training_began_is_begun_again(
    words: list[str], tmp_path: Path
) -> None:
    """A process that was killed while it built the model leaves what was asked, and nothing to go on with."""
    assert main([*words, "--only", "none"]) == 0
    run = tmp_path / "runs" / "none-seed0"
    for path in run.iterdir():
        if path.is_file() and path.name not in ("run.json", "splits.json"):
            path.unlink()
    assert main([*words, "--only", "none"]) == 0
    assert ended(tmp_path / "runs") == ["none-seed0", "none-seed1"]


def test_a_row_may_begin_with_pretrained_weights(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is known again by a second call and by `zoo compare`, which needs no weights to count it."""
    weights, runs, plan = tmp_path / "weights.safetensors", tmp_path / "runs", words[2]
    save_file(timm.create_model("test_resnet").state_dict(), weights)
    spec = f'timm/test_resnet(pretrained="{weights}") + avg'
    text = PLAN.replace("[0, 1]", "[0]").replace("epochs: 2", "epochs: 1")
    lines = [line for line in text.splitlines() if "se@last" not in line]
    Path(plan).write_text("\n".join([*lines, f"  tuned: {spec}", ""]))
    assert main(words) == 0
    capsys.readouterr()
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("All has ended.")
    weights.unlink()
    (runs / "tuned-seed0" / "result.json").rename(tmp_path / "kept")
    folders = [str(path) for path in runs.iterdir()]
    for missing in (["tuned-seed0"], []):
        assert main(["compare", *folders, "--plan", plan, "--json", "--threads", "1"]) == 0
        table = json.loads(capsys.readouterr().out)
        assert [row["row"] for row in table["rows"]] == ["none", "tuned"]
        assert table["missing"] == missing
        if missing:
            (tmp_path / "kept").rename(runs / "tuned-seed0" / "result.json")


def test_what_another_process_trains_is_left_to_it(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is trained."""
    taken = tmp_path / "runs" / "none-seed0"
    taken.mkdir(parents=True)
    with reserved(taken):
        assert main([*words, "--only", "none"]) == 0
    assert ended(tmp_path / "runs") == ["none-seed1"]
    assert "but for none-seed0, which other processes train" in capsys.readouterr().out
    assert not list(taken.iterdir())


def test_all_is_trained_though_nobody_reads_it(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two trainings as within one: it is read by `head`, say."""

    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    assert main([*words, "--only", "none"]) == 0
    assert ended(tmp_path / "runs") == ["none-seed0", "none-seed1"]


def test_no_other_process_begins_what_is_being_read_for(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a new training nor one that goes on: decoding takes longer than what is said of it."""
    run, opened = tmp_path / "runs" / "none-seed0", []

    def ask(*args: Any, **options: Any) -> Any:
        other = subprocess.run([sys.executable, "-c", RESERVE, str(run)], check=False)
        opened.append(other.returncode)
        return open_data(*args, **options)

    monkeypatch.setattr("zoo.cli.beginning.open_data", ask)
    monkeypatch.setattr("zoo.cli.resuming.open_data", ask)
    Path(words[2]).write_text(PLAN.replace("[0, 1]", "[0]"))
    assert main([*words, "--only", "none"]) == 0
    (run / "result.json").unlink()
    assert main([*words, "--only", "none"]) == 0
    assert opened == [TAKEN, TAKEN]
    assert subprocess.run([sys.executable, "-c", RESERVE, str(run)], check=False).returncode == 0


def test_what_another_process_has_just_ended_is_passed_over(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Between the look at its folder and the reservation."""
    run, ready = tmp_path / "runs" / "none-seed0", tmp_path / "ready"
    assert main([*words, "--only", "none"]) == 0
    run.rename(ready)
    reserve = RunFolder.reserved

    def be_late(self: RunFolder, *, resume: bool) -> Any:
        ready.rename(run)
        return reserve(self, resume=resume)

    monkeypatch.setattr(RunFolder, "reserved", be_late)
    capsys.readouterr()
    assert main([*words, "--only", "none"]) == 0
    assert capsys.readouterr().out.startswith("All has ended.")


def test_nothing_is_left_of_what_cannot_be_begun(words: list[str], tmp_path: Path) -> None:
    """A folder without a run would be in the way of `zoo compare runs/*`."""
    assert main([*words[:4], str(tmp_path / "nowhere"), *words[5:]]) == 2
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["attn_cnn_small"], "--plan says what is trained, and how; leave attn_cnn_small out"),
        (["--epochs", "3"], "leave --epochs out"),
        (["--seed", "0"], "leave --seed out"),
        (["--finetune"], "leave --finetune out"),
        (["--only", "sse@last"], "no row 'sse@last'. Did you mean 'se@last'?"),
        (["--resume", "there"], "leave --output out"),
    ],
)
def test_what_does_not_go_with_a_plan_is_refused(
    words: list[str],
    tmp_path: Path,
    more: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Runs of another recipe would not be those of the plan."""
    assert main([*words, *more]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "runs").exists()


def test_rows_without_a_plan_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The option means nothing then."""
    assert main(["train", "plain_cnn + avg", "--data", "mnist", "--only", "se"]) == 2
    assert "give the plan with --plan" in capsys.readouterr().err


def test_other_data_and_other_plans_are_refused(
    words: list[str], squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that holds a training of an earlier plan is named, and left as it is."""
    assert main([*words[:3], *words[5:]]) == 2
    assert "The plan is for squares; say where they are: --data" in capsys.readouterr().err
    other = squares.rename(tmp_path / "circles")
    assert main([*words[:4], str(other), *words[5:]]) == 2
    told = f"{words[2]} is for squares, and these data are called circles. Give others, or write 'data: circles'"
    assert told in " ".join(capsys.readouterr().err.split())
    other.rename(squares)
    assert main([*words, "--only", "none"]) == 0
    Path(words[2]).write_text(PLAN.replace("epochs: 2", "epochs: 1"))
    assert main(words) == 2
    expected = f"{tmp_path / 'runs' / 'none-seed0'} holds another training than the plan has"
    assert expected in " ".join(capsys.readouterr().err.split())


def test_a_plan_says_how_its_data_are_divided_and_treated(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option that asks for something else is refused, and so is a run that was trained with something else."""
    words, run = [*words, "--only", "none"], tmp_path / "runs" / "none-seed0" / "run.json"
    assert main([*words, "--leaks", "drop"]) == 2
    message = (
        f"--leaks is drop, but {words[2]} is for leaks: report. Write 'leaks: drop' into the plan"
    )
    assert message in " ".join(capsys.readouterr().err.split())
    assert main([*words, "--split-seed", "3"]) == 2
    assert not (tmp_path / "runs").exists()
    Path(words[2]).write_text(f"{PLAN}leaks: drop\nsplit_seed: 3\n")
    assert main([*words, "--leaks", "drop"]) == 0
    request = json.loads(run.read_text())["request"]
    assert (request["leaks"], request["split_seed"], request["unreadable"]) == ("drop", 3, "refuse")
    assert main(words) == 0
    Path(words[2]).write_text(PLAN)
    assert main(words) == 2
    assert "holds another training than the plan has" in " ".join(capsys.readouterr().err.split())

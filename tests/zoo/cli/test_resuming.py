"""`zoo train --resume`: a run goes on as it was started, on the same samples, wherever they lie now."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from zoo.cli import main

SPEC = "text_cnn(embedding_dim=4, maps=4, kernel_sizes=[2]) + max"


class Started(NamedTuple):
    """A run, and the table that it was trained on."""

    run: Path
    data: Path

    def resume(self, *words: object) -> int:
        """Go on with it."""
        return main(["train", "--resume", str(self.run), "--threads", "1", *map(str, words)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Started:
    """Train on 60 texts, divided by 7."""
    folder = tmp_path_factory.mktemp("resuming")
    data, run = folder / "texts.csv", folder / "run"
    lines = [f"{('bad', 'good')[i % 2]} film number {i},{('no', 'yes')[i % 2]}" for i in range(60)]
    data.write_text("text,label\n" + "\n".join(lines) + "\n")
    words = ["train", SPEC, "--data", str(data), "--epochs", "1", "--threads", "1"]
    assert main([*words, "--split-seed", "7", "--output", str(run)]) == 0
    return Started(run, data)


@pytest.fixture
def started(trained: Started, tmp_path: Path) -> Started:
    """A copy of both, whose data can be moved."""
    here = Started(tmp_path / "run", tmp_path / "texts.csv")
    shutil.copytree(trained.run, here.run)
    shutil.copy(trained.data, here.data)
    run = json.loads((here.run / "run.json").read_text())
    run["request"]["what"] = str(here.data)
    (here.run / "run.json").write_text(json.dumps(run))
    (here.run / "result.json").unlink()
    return here


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split-seed", 0), "--split-seed 7 (asked: 0). Resume it as it was"),
        (("--hold-out", "speaker=x"), "no --hold-out (asked: speaker=x)"),
        (
            ("--leaks", "drop", "--unreadable", "skip"),
            "--unreadable refuse (asked: skip), --leaks report (asked: drop)",
        ),
        (("--text", "review"), "no --text (asked: review)"),
    ],
)
def test_another_way_to_read_the_data_is_refused(
    trained: Started,
    words: tuple[object, ...],
    message: str,
    named: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whether the data are named again or not."""
    assert trained.resume(*words, *(("--data", trained.data) if named else ())) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "was started with other data: " in told
    assert message in told


def test_rows_of_a_plan_are_refused(trained: Started, capsys: pytest.CaptureFixture[str]) -> None:
    """A run is one training."""
    assert trained.resume("--only", "se") == 2
    assert "leave --only out" in capsys.readouterr().err


def test_options_as_they_were_are_taken(trained: Started) -> None:
    """They say nothing new."""
    assert trained.resume("--split-seed", 7, "--leaks", "report", "--data", trained.data) == 0


def test_a_run_goes_on_where_its_data_are_now(
    started: Started, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under another name, too: its figures keep the name that they began with."""
    moved = started.data.rename(tmp_path / "reviews.csv")
    assert started.resume() == 2
    told = f"data at {started.data}, where nothing is now. Say where they are: zoo train --resume {started.run} --data"
    assert told in " ".join(capsys.readouterr().err.split())
    assert started.resume("--data", moved) == 0
    assert f"zoo evaluate {started.run} --data {moved}" in capsys.readouterr().out
    result = json.loads((started.run / "result.json").read_text())
    assert result["data"] == "texts"
    assert list(result["metrics"]) == ["texts/validation/top1"]


def test_other_data_are_noticed_wherever_they_are(
    started: Started, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By what is in them; and a name is all that a run has which noted nothing of that."""
    moved = tmp_path / "reviews.csv"
    moved.write_text(started.data.read_text().replace("film number 8", "book number 8"))
    assert started.resume("--data", moved) == 2
    assert "The data are not those that" in capsys.readouterr().err
    moved.write_bytes(started.data.read_bytes())
    run = json.loads((started.run / "run.json").read_text())
    del run["digests"]
    (started.run / "run.json").write_text(json.dumps(run))
    assert started.resume("--data", moved) == 2
    told = (
        "with data called texts, and these are called reviews. It was started before samples were"
    )
    assert told in " ".join(capsys.readouterr().err.split())
    assert started.resume() == 0


def test_a_named_data_set_is_found_in_another_root(
    started: Started, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name alone is not where it is."""
    run = json.loads((started.run / "run.json").read_text())
    run["request"] |= {"what": "mr", "root": str(tmp_path / "gone")}
    (started.run / "run.json").write_text(json.dumps(run))
    assert started.resume() == 2
    told = (
        f"data at {tmp_path / 'gone'}, where nothing is now. Say where they are: zoo train --resume"
    )
    error = " ".join(capsys.readouterr().err.split())
    assert told in error
    assert error.endswith("--root PATH")
    assert started.resume("--root", tmp_path) == 2
    assert f"no rt-polarity.all in any of {tmp_path}," in " ".join(capsys.readouterr().err.split())

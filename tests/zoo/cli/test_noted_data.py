"""What a run noted of its data is taken by `zoo evaluate`, too, as far as it is not said otherwise."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from zoo.cli import main
from zoo.cli.noted_data import with_noted_data
from zoo.errors import InvalidValue
from zoo.train.data.request import DataRequest
from zoo.train.run_folder import RunFolder

SPEC = "text_cnn(embedding_dim=4, maps=4, kernel_sizes=[2]) + max"


class Trained(NamedTuple):
    """A run, and the table that it was trained on."""

    run: Path
    data: Path


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train on 60 texts in a column that is not called text, divided by 7."""
    folder = tmp_path_factory.mktemp("noted")
    data, run = folder / "films.csv", folder / "run"
    lines = [f"{('bad', 'good')[i % 2]} film number {i},{('no', 'yes')[i % 2]}" for i in range(60)]
    data.write_text("review,stars\n" + "\n".join(lines) + "\n")
    words = ["train", SPEC, "--data", str(data), "--text", "review", "--label", "stars"]
    words += ["--epochs", "1", "--threads", "1", "--split-seed", "7", "--output", str(run)]
    assert main(words) == 0
    return Trained(run, data)


@pytest.fixture
def trained(once: Trained, tmp_path: Path) -> Trained:
    """A copy of both, whose data can be moved."""
    here = Trained(tmp_path / "run", tmp_path / "films.csv")
    shutil.copytree(once.run, here.run)
    shutil.copy(once.data, here.data)
    change(here.run, what=str(here.data))
    return here


def change(run: Path, **said: Any) -> None:
    """Let a run have noted something else of its data."""
    content = json.loads((run / "run.json").read_text())
    content["request"] |= said
    (run / "run.json").write_text(json.dumps(content))


def evaluated(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code and output of the command."""
    capsys.readouterr()
    code = main(["evaluate", *map(str, words), "--threads", "1"])
    out, err = capsys.readouterr()
    return code, out, " ".join(err.split())


def test_a_run_is_measured_on_its_data(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if they were named, and a note says which; the figures are the same, and kept in the run."""
    columns = ["--text", "review", "--label", "stars"]
    code, expected, err = evaluated(capsys, trained.run, "--data", trained.data, *columns, "--json")
    assert (code, "are taken" in err) == (0, False)
    (trained.run / "evaluations.json").unlink()
    code, out, err = evaluated(capsys, trained.run, "--json")
    assert (code, out) == (0, expected)
    said = f"--data {trained.data} {' '.join(columns)}"
    assert f"note: the data are taken as for the training of {trained.run}: {said}" in err
    assert (trained.run / "evaluations.json").exists()


def test_columns_are_those_of_the_run_for_its_data_alone(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In another folder, too; not for a table of another name, and an option that is given wins."""
    (tmp_path / "moved").mkdir()
    moved = trained.data.rename(tmp_path / "moved" / trained.data.name)
    code, _, err = evaluated(capsys, trained.run, "--data", moved)
    assert (code, f"--data {moved} --text review --label stars" in err) == (0, True)
    code, _, err = evaluated(capsys, trained.run, "--data", moved, "--label", "genre")
    assert (code, "'genre'" in err) == (2, True)
    other = shutil.copy(moved, tmp_path / "others.csv")
    code, _, err = evaluated(capsys, trained.run, "--data", other)
    assert (code, "'text'" in err) == (2, True)


def test_data_that_are_gone_are_to_be_named(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a command that can be typed."""
    trained.data.unlink()
    code, _, err = evaluated(capsys, trained.run)
    assert code == 2
    command = f"zoo evaluate {trained.run} --text review --label stars --data PATH"
    assert err.endswith(
        f"data at {trained.data}, where nothing is now. Say where they are: {command}"
    )


def test_what_knows_no_data_needs_them(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file, a ref, and a run that did not note them; all can be measured on data that are named."""
    best = trained.run / "best.safetensors"
    for what in (best, "attn_cnn_mnist@1.0.0"):
        code, _, err = evaluated(capsys, what)
        assert (code, f"Say on which data to measure {what}: --data" in err) == (2, True)
    code, _, err = evaluated(capsys, "nosuch_variant")
    assert (code, "--data" in err) == (2, False)
    change(trained.run, what=None)
    code, _, err = evaluated(capsys, trained.run)
    assert (code, "Say on which to measure it: --data" in err) == (2, True)
    columns = ["--text", "review", "--label", "stars"]
    assert evaluated(capsys, trained.run, "--data", trained.data, *columns)[0] == 0


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ("mnist", "/")),
        ({"data": "mnist"}, ("mnist", "/")),
        ({"root": "/tmp"}, ("mnist", "/tmp")),
        ({"data": "fsdd"}, ("fsdd", None)),
        ({"data": "./mnist"}, ("./mnist", None)),
    ],
)
def test_the_folder_of_a_named_data_set_is_that_of_the_run(
    said: dict[str, str], expected: tuple[str, str | None]
) -> None:
    """For that data set alone, and not for what lies at a path of its name."""
    asked = Namespace(**{"data": None, "root": None, "text": None, "label": None, **said})
    noted = DataRequest(what="mnist", root="/")
    found = with_noted_data(asked, noted, RunFolder(Path("run")), "zoo evaluate run")
    assert (found.data, found.root) == expected


def test_a_folder_of_a_named_data_set_that_is_gone_is_named(tmp_path: Path) -> None:
    """With the option that it is given by."""
    asked = Namespace(data="mnist", root=None, text=None, label=None)
    noted = DataRequest(what="mnist", root=str(tmp_path / "gone"))
    with pytest.raises(InvalidValue, match=r"gone, where nothing is now\..* run --root PATH$"):
        with_noted_data(asked, noted, RunFolder(Path("run")), "zoo evaluate run")

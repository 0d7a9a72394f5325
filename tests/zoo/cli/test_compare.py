"""`zoo compare`, from folders of runs and files of models to a table."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import zoo
from zoo.cli import main

Command = Callable[..., object]
SPECS = {"plain": "", "se": " + se@stage(reduction=2)"}


class Trained(NamedTuple):
    """Data, and two runs of each of two specs."""

    data: Path
    runs: dict[str, Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train on 90 texts whose first word tells their class."""
    folder = tmp_path_factory.mktemp("compare")
    data = folder / "texts.csv"
    lines = [
        f"{'good' if i % 2 else 'bad'} film number {i},{'yes' if i % 2 else 'no'}"
        for i in range(90)
    ]
    data.write_text("text,label\n" + "\n".join(lines) + "\n")
    runs = {}
    for title, attention in SPECS.items():
        for seed in ("0", "1"):
            run = runs[title + seed] = folder / f"{title}-{seed}"
            backbone = "text_cnn(embedding_dim=8, maps=4, kernel_sizes=[2])"
            words = ["train", f"{backbone}{attention} + max", "--data", str(data), "--seed", seed]
            words += ["--epochs", "1", "--threads", "1", "--output", str(run)]
            assert main(words) == 0
    return Trained(data, runs)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give tables the room that they need."""
    monkeypatch.setitem(os.environ, "COLUMNS", "300")


def compare(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run the command."""
    capsys.readouterr()
    code = main(["compare", *map(str, words), "--threads", "1"])
    return code, *capsys.readouterr()


def test_runs_are_put_together_by_seed(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two rows of two seeds, by their validation figures since nobody looked at the test split."""
    code, out, _ = compare(capsys, *trained.runs.values(), "--json")
    table = json.loads(out)
    assert code == 0
    assert table["figure"].endswith("/validation/top1 of the last epoch")
    assert [row["row"] for row in table["rows"]] == ["none", "se@stage(reduction=2)"]
    assert [len(row["values"]) for row in table["rows"]] == [2, 2]
    assert table["rows"][1]["parameters"] > table["rows"][0]["parameters"]
    assert table["rows"][0]["p"] is None
    assert 0 <= table["rows"][1]["p"] <= 1


def test_the_test_split_is_measured_once_and_kept(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the data at hand; afterwards the runs' folders have the figures."""
    _, before, _ = compare(capsys, *trained.runs.values(), "--data", trained.data, "--json")
    _, after, _ = compare(capsys, *trained.runs.values(), "--json")
    assert json.loads(before)["figure"].endswith("/test/top1 of the last epoch")
    assert json.loads(after) == json.loads(before)


def test_a_table_for_people_says_what_is_noise(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """Difference, verdict, what they mean, and how long a sample takes."""
    words = ("--split", "validation", "--against", "se@stage(reduction=2)")
    code, out, _ = compare(capsys, *trained.runs.values(), *words)
    heading, none, se = out.splitlines()[2:5]
    assert code == 0
    assert heading.split()[:3] == ["ROW", "SEEDS", "MEAN"]
    assert none.startswith("none")
    assert "(p " in none
    assert "(p " not in se
    note = " ".join(out[out.index("Mean ±") :].split())
    assert re.search(r"same for all rows: \d+\.\d\d, known with \d degrees? of freedom\. ", note)
    assert "(Student's t), cut off at 0 and 100; p of Dunnett's test" in note


def test_of_one_row_no_test_is_told(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing that it is compared with."""
    runs = [trained.runs[name] for name in ("se0", "se1")]
    _, out, _ = compare(capsys, *runs, "--split", "validation")
    note = " ".join(out.split())
    assert note.endswith("cut off at 0 and 100. How much other samples would change is not in it.")
    _, out, _ = compare(capsys, runs[0] / "last.safetensors", "--data", trained.data)
    assert "(Wilson). How much another seed" in out
    assert "McNemar" not in out


def test_models_are_compared_on_the_same_samples(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """By McNemar's test, with the time for one sample where it was asked for."""
    files = [trained.runs[name] / "last.safetensors" for name in ("plain0", "se0")]
    code, out, _ = compare(capsys, *files, "--data", trained.data, "--latency")
    assert code == 0
    assert "McNemar" in out
    assert "No time is given for a model that takes inputs of any size." in out
    code, out, _ = compare(capsys, *files, "--data", trained.data, "--json")
    rows = json.loads(out)["rows"]
    assert [row["row"] for row in rows] == [str(file) for file in files]
    assert all(row["interval"][0] <= row["mean"] <= row["interval"][1] for row in rows)


@pytest.fixture
def plan(trained: Trained, tmp_path: Path) -> Path:
    """A plan of three seeds, of which two were trained, and of a row that nobody trained."""
    run = json.loads((trained.runs["plain0"] / "run.json").read_text())
    recipe = {name: value for name, value in run["recipe"].items() if name != "seed"}
    backbone = "text_cnn(embedding_dim=8, maps=4, kernel_sizes=[2])"
    attentions = {"eca": " + eca@stage", **SPECS}
    content = {
        "data": run["data"],
        "seeds": [0, 1, 2],
        "recipe": recipe,
        "specs": {title: f"{backbone}{attention} + max" for title, attention in attentions.items()},
    }
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps(content))
    return path


def test_what_a_plan_asks_for_and_nobody_trained_is_named(
    trained: Trained, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows have the plan's titles."""
    words = (*trained.runs.values(), "--plan", plan, "--split", "validation")
    _, out, _ = compare(capsys, *words, "--json")
    table = json.loads(out)
    assert [row["row"] for row in table["rows"]] == ["eca", "plain", "se"]
    assert [row["mean"] is None for row in table["rows"]] == [True, False, False]
    assert table["rows"][0]["parameters"] > table["rows"][1]["parameters"]
    missing = ["eca-seed0", "eca-seed1", "eca-seed2", "plain-seed2", "se-seed2"]
    assert sorted(table["missing"]) == missing
    _, out, _ = compare(capsys, *words)
    assert [line.split()[:4] for line in out.splitlines()[3:6]] == [
        ["eca", "0", "of", "3"],
        ["plain", "2", "of", "3"],
        ["se", "2", "of", "3"],
    ]
    assert "Missing: 5 of 9 trainings, plain-seed2, se-seed2 among them." in out


def test_a_training_that_is_about_to_begin_is_missing(
    trained: Trained, plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder that is kept for it is empty; without a plan it is no run."""
    (soon := tmp_path / "plain-seed2").mkdir()
    words = (trained.runs["plain0"], soon, "--split", "validation", "--json")
    code, out, _ = compare(capsys, *words, "--plan", plan)
    assert code == 0
    assert "plain-seed2" in json.loads(out)["missing"]
    code, _, err = compare(capsys, soon, "--plan", plan)
    assert (code, "None of these runs has ended" in err) == (2, True)
    code, _, err = compare(capsys, *words)
    assert (code, "is no folder of a run" in err) == (2, True)


def test_a_page_has_the_same_table(
    trained: Trained, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A heading, and as many cells in each row; a row that is missing says so."""
    words = ("--plan", plan, "--split", "validation", "--markdown")
    code, out, _ = compare(capsys, *trained.runs.values(), *words)
    rows = [line.split("|")[1:-1] for line in out.splitlines() if line.startswith("|")]
    assert code == 0
    assert [row[0].strip() for row in rows] == ["row", "---", "eca", "plain", "se"]
    assert {len(row) for row in rows} == {7}
    assert "| eca | 0 of 3 | missing | " in out


def test_figures_are_enough(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of runs whose weights were thrown away the same table is made."""
    _, before, _ = compare(capsys, *trained.runs.values(), "--split", "validation", "--json")
    for run in trained.runs.values():
        (tmp_path / run.name).mkdir()
        for name in ("run.json", "result.json"):
            shutil.copy(run / name, tmp_path / run.name)
    _, after, err = compare(capsys, *sorted(tmp_path.iterdir()), "--split", "validation", "--json")
    assert err == ""
    assert json.loads(after) == json.loads(before)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("RUN", "attn_cnn_mnist"), "'attn_cnn_mnist' is no folder of a run: there is no such"),
        (("RUN", "EMPTY"), "is no folder of a run: it has no run.json. Leave it out."),
        (("EMPTY",), "is a folder, but holds no run: it has no run.json."),
        (("runs/none",), "There is no file and no folder 'runs/none'. Nor is it a ref"),
        (("attn_cnn_mnist",), "say on which data: --data"),
        (("RUN", "--against", "sse"), "No row is called 'sse'"),
        (("attn_cnn_mnist", "--data", "DATA", "--plan", "x.yaml"), "give the folders of runs"),
    ],
)
def test_what_cannot_be_compared_is_said(
    words: tuple[str, ...],
    message: str,
    trained: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what to do."""
    names = {"RUN": str(trained.runs["plain0"]), "DATA": str(trained.data), "EMPTY": str(tmp_path)}
    code, _, err = compare(capsys, *(names.get(word, word) for word in words))
    assert code == 2
    assert message in " ".join(err.split())


def test_seeds_are_published_together(
    trained: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`zoo evaluate` and `zoo compare` write figures down, and `zoo publish` takes them over the seeds."""
    one, two = (
        Path(shutil.copytree(trained.runs[title], tmp_path / title)) for title in ("se0", "se1")
    )
    data = ["--data", str(trained.data), "--threads", "1"]
    values = []
    for run in (one, two):
        capsys.readouterr()
        assert main(["evaluate", str(run), *data, "--json"]) == 0
        values.append(json.loads(capsys.readouterr().out)[f"{trained.data.stem}/test/top1"])
    base = str(tmp_path / "our-zoo")
    words = [
        "--registry",
        base,
        "--name",
        "ours",
        "--version",
        "1.0.0",
        "--metric",
        "far/test/top1=0.5,0.7",
    ]
    assert main(["publish", str(one), str(two), *words]) == 0
    metrics = zoo.describe("ours", registries=[zoo.Registry(base)]).metrics
    figure = metrics[f"{trained.data.stem}/test/top1"]
    assert figure["mean"] == pytest.approx(sum(values) / 2, abs=1e-6)
    assert (figure["seeds"], figure["value"]) == (2, pytest.approx(values[0], abs=1e-6))
    assert metrics["far/test/top1"] == {
        "mean": 0.6, "std": 0.141421, "seeds": 2, "value": 0.5
    }  # fmt: skip


def test_a_file_is_published_alone(
    trained: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Only folders of runs say that they are seeds of one training."""
    file = str(trained.runs["se0"] / "best.safetensors")
    words = ["--registry", str(tmp_path / "zoo"), "--name", "ours", "--version", "1.0.0"]
    assert main(["publish", file, str(trained.runs["se1"]), *words]) == 2
    assert (
        "several runs that differ by their seed are given by their folders"
        in capsys.readouterr().err
    )

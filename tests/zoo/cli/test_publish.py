"""`zoo publish` and `zoo yank`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.registry import examination, publishing
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder


@pytest.fixture
def run_folder(small_spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run with its best file; files are examined in this process, which is quick."""
    monkeypatch.setattr(publishing, "examine_afresh", examination.examine)
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    model = zoo.compose(zoo.Spec.from_data(small_spec))
    zoo.save(model, folder / "best.safetensors", metrics={"pets/validation/top1": {"mean": 0.5}})
    return folder


def test_from_a_run_to_a_version_and_back(command: Any, run_folder: Path, tmp_path: Path) -> None:
    """Published with its figures and one more, used as the command says, withdrawn, and taken back."""
    base = str(tmp_path / "our-zoo")
    target = ("--registry", base, "--name", "our_cnn", "--version", "1.0.0")
    done = command(
        "publish", str(run_folder), *target, "--metric", "pets/test/top1=0.25", "--license", "MIT"
    )
    assert done.code == 0
    assert done.err == f"zoo: note: {base} held no registry yet; one was made there.\n"
    first, second = done.out.splitlines()
    assert first.startswith(f"our_cnn@1.0.0 is published in {base}, sha256 ")
    model = eval(second.removeprefix("Use it: "), {"zoo": zoo})
    assert str(model.ref) == "our_cnn@1.0.0"
    shown = json.loads(command("show", "our_cnn", "--json", registry=zoo.Registry(base)).out)
    assert shown["license"] == "MIT"
    assert {name: one["mean"] for name, one in shown["metrics"].items()} == {
        "pets/validation/top1": 0.5,
        "pets/test/top1": 0.25,
    }
    done = command("yank", "our_cnn@1.0.0", "--registry", base, "--reason", "wrong split")
    assert done.out.startswith(f"our_cnn@1.0.0 is withdrawn in {base}: wrong split\n")
    done = command("yank", "our_cnn@1.0.0", "--registry", base, "--undo")
    assert done.out == f"our_cnn@1.0.0 is no longer withdrawn in {base}.\n"
    assert zoo.Registry(base).serial == 3


def test_a_similar_name_needs_a_word(command: Any, run_folder: Path, tmp_path: Path) -> None:
    """The error names the option, and the option works."""
    base = str(tmp_path / "our-zoo")
    publish = ("publish", str(run_folder), "--registry", base, "--version", "1.0.0", "--name")
    done = command(*publish, "our_cnn")
    assert done.code == 0
    assert "note: no licence is given" in done.err
    refused = command(*publish, "our_cnm")
    assert refused.code == 2
    assert "--allow-similar-name" in refused.err
    assert command(*publish, "our_cnm", "--allow-similar-name").code == 0


def test_what_is_laid_out_comes_with_its_commands(
    command: Any, run_folder: Path, tmp_path: Path, make_registry: Any
) -> None:
    """For where zoo cannot write; the order is told, and what is not checked."""
    base, stage = str(make_registry().root), tmp_path / "to upload"
    done = command(
        "publish", str(run_folder), "--registry", base, "--name", "our_cnn", "--version", "1.0.0", "--stage", str(stage)
    )  # fmt: skip
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert f"nothing is written to {base} yet" in lines[0]
    assert [line.split()[0] for line in lines if line.startswith("    ")] == ["rsync", "rsync"]
    assert f"'{stage}/blobs/'" in lines[2]
    assert f"'{stage}/registry.yaml'" in lines[3]
    assert lines[-1] == f"Then: rm -r '{stage}'"
    assert zoo.Registry(stage).serial == 2
    assert zoo.Registry(base).serial == 1


@pytest.mark.parametrize("metric", ["top1", "top1=", "top1=high", "top1=nan", "top1=0.5,inf", "=1"])
def test_a_figure_that_is_none_is_refused(command: Any, metric: str) -> None:
    """With the form that is right."""
    done = command(
        "publish", "x", "--registry", "y", "--name", "z", "--version", "1.0.0", "--metric", metric
    )
    assert done.code == 2
    assert f"--metric '{metric}' is not of the form NAME=VALUE with a finite number" in done.err


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("pets/test/top1=50", "pets/test/top1 is 50. An accuracy is a share from 0 to 1"),
        ("pets/test/top1=0.9,0.8", "has 2 values for 1 training; give one for each"),
        ("pets/validation/top1=0.9", "that was measured, with 50.00 %. What was measured is pub"),
    ],
)
def test_a_figure_that_nobody_can_have_measured_is_refused(
    command: Any, run_folder: Path, tmp_path: Path, metric: str, message: str
) -> None:
    """Percents, more values than trainings, and another figure than the measured one; nothing is published."""
    base = str(tmp_path / "our-zoo")
    publish = ("publish", str(run_folder), "--registry", base, "--name", "our_cnn", "--version")
    done = command(*publish, "1.0.0", "--metric", metric)
    assert done.code == 2
    assert message in done.err
    assert not Path(base).exists()


def test_the_measured_figure_may_be_said_again(
    command: Any, run_folder: Path, tmp_path: Path
) -> None:
    """It is published as it was measured."""
    base = str(tmp_path / "our-zoo")
    publish = ("publish", str(run_folder), "--registry", base, "--name", "our_cnn", "--version")
    assert command(*publish, "1.0.0", "--metric", "pets/validation/top1=0.5").code == 0
    version = zoo.describe("our_cnn", registries=[zoo.Registry(base)])
    assert version.metrics == {"pets/validation/top1": {"mean": 0.5}}


@pytest.fixture
def two_runs(small_spec: dict[str, Any], run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`one` and `two`, runs in the current folder that differ by their seed and have ended."""
    monkeypatch.chdir(run_folder.parent)
    for seed, name in enumerate(("one", "two")):
        run = RunFolder(Path(name))
        run.path.mkdir()
        shutil.copy(run_folder / "best.safetensors", run.path)
        shutil.copy(run_folder / "best.safetensors", run.path / "last.safetensors")
        recipe = Recipe(seed=seed).to_data()
        request = {"what": "/data/my pets", "root": None, "text": "words", "label": None}
        asked = {"spec": small_spec, "recipe": recipe, "data": "pets", "request": request}
        run.prepare(asked)
        best = {"epoch": 1.0, "validation/top1": 0.5}
        run.write_result(asked, best, [best], 1.0)


def _figure_of(folder: str, value: float) -> None:
    run = RunFolder(Path(folder))
    run.keep_evaluation(run.digest("best"), {"test/top1": value})


@pytest.mark.usefixtures("two_runs")
def test_a_run_that_was_not_measured_is_told_with_the_command_that_does(command: Any) -> None:
    """On the data that it was trained on."""
    _figure_of("one", 0.5)
    target = ("--registry", "./reg", "--name", "our_cnn", "--version", "1.0.0")
    done = command("publish", "one", "two", *target)
    assert done.code == 2
    assert "Measure the others on the test split, too: " in done.err
    assert done.err.endswith(" zoo evaluate ./two --data '/data/my pets' --text words\n")
    _figure_of("two", 0.25)
    assert command("publish", "one", "two", *target).code == 0
    figures = zoo.describe("our_cnn", registries=[zoo.Registry("reg")]).metrics
    assert figures["pets/test/top1"]["mean"] == 0.375


@pytest.mark.usefixtures("two_runs")
def test_each_run_has_its_value(command: Any) -> None:
    """One for all is refused; that of the first is the one of the weights."""
    target = ("--registry", "./reg", "--name", "our_cnn", "--version", "1.0.0")
    done = command("publish", "one", "two", *target, "--metric", "birds/all/top1=0.5")
    assert "has 1 value for 2 trainings" in done.err
    done = command("publish", "one", "two", *target, "--metric", "birds/all/top1=0.1,1.5")
    assert "birds/all/top1 is 1.5" in done.err
    assert (
        command("publish", "one", "two", *target, "--metric", "birds/all/top1=0.25,0.75").code == 0
    )
    figures = zoo.describe("our_cnn", registries=[zoo.Registry("reg")]).metrics
    assert figures["birds/all/top1"] == {"mean": 0.5, "std": 0.353553, "seeds": 2, "value": 0.25}


def test_a_registry_may_be_named(command: Any, run_folder: Path, make_registry: Any) -> None:
    """It is the one that was added, for publishing and for withdrawing."""
    base = make_registry(a_net={"1.0.0": {}}).base
    zoo.add_registry("mine", base)
    done = command(
        "publish", str(run_folder), "--registry", "mine", "--name", "our_cnn", "--version", "1.0.0"
    )
    assert f"our_cnn@1.0.0 is published in {base}" in done.out
    assert f'zoo.Registry("{base}")' in done.out
    done = command("yank", "our_cnn@1.0.0", "--registry", "mine", "--reason", "wrong split")
    assert f"is withdrawn in {base}" in done.out
    assert zoo.Registry(base).serial == 3


def test_a_withdrawal_needs_a_reason(command: Any, make_registry: Any) -> None:
    """Nothing is changed without one."""
    registry = make_registry(our_cnn={"1.0.0": {}})
    done = command("yank", "our_cnn@1.0.0", "--registry", str(registry.root))
    assert done.code == 2
    assert "Say why the version is withdrawn (--reason)" in done.err
    assert zoo.Registry(registry.root).serial == 1

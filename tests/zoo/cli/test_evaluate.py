"""`zoo evaluate --check`: whether a published figure holds. Measuring itself is tested in test_train."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import zoo
from zoo.cli import main
from zoo.train.data import open_data
from zoo.train.data.request import DataRequest
from zoo.train.data.splits import Split
from zoo.train.evaluation import Score

Save = Callable[..., Path]
FIGURE = "texts/test/top1"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Sixty texts of two classes."""
    path = tmp_path / "texts.csv"
    lines = [
        f"{'good' if i % 2 else 'bad'} film number {i},{'yes' if i % 2 else 'no'}"
        for i in range(60)
    ]
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save one model with other figures each time; half of its answers are right."""
    model = always_no("no", "yes")

    def make(metrics: dict[str, Any], **provenance: Any) -> Path:
        file = tmp_path / "model.safetensors"
        return zoo.save(model, file, metrics=metrics, provenance=provenance)

    return make


def always_no(*labels: str) -> zoo.Model:
    """A model whose answer is always no."""
    model = zoo.compose(
        {"name": "text_cnn", "embedding_dim": 4, "maps": 4, "kernel_sizes": [1]},
        head="max",
        labels=labels,
        input={"kind": "text", "vocabulary": ["good", "bad", "film"]},
    )
    classifier = model.get_classifier()
    assert isinstance(classifier, nn.Linear)
    with torch.no_grad():
        classifier.weight.zero_()
        classifier.bias.copy_(torch.tensor([float(label == "no") for label in labels]))
    return model


def says_no(path: Path, *labels: str) -> Path:
    """Save it."""
    return zoo.save(always_no(*labels), path / "no.safetensors")


def check(file: Path, data: Path) -> int:
    """Run the command."""
    return main(["evaluate", str(file), "--data", str(data), "--threads", "1", "--check"])


@pytest.mark.parametrize("command", [["evaluate"], ["compare"]])
def test_models_are_measured_on_the_device_that_is_asked_for(
    save: Save, data: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every weight is there; what the device computes is not looked at here."""
    asked, seen = list[str](), list[set[str]]()
    module = "zoo.cli.evaluate" if command == ["evaluate"] else "zoo.cli.compare"

    def open_device(name: str) -> torch.device:
        asked.append(name)
        return torch.device("meta")

    def evaluate(model: zoo.Model, split: Split) -> Score:
        seen.append({tensor.device.type for tensor in model.state_dict().values()})
        return Score(0.5, 1.0, len(split), torch.arange(len(split)) % 2 == 0)

    monkeypatch.setattr(f"{module}.open_device", open_device)
    monkeypatch.setattr("zoo.train.evaluation.evaluate", evaluate)
    file = save({})
    words = [*command, str(file), "--data", str(data), "--device", "cuda:7", "--threads", "1"]
    assert main(words) == 0
    assert (asked, seen) == (["cuda:7"], [{"meta"}])


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_a_device_that_is_not_there_is_refused(
    save: Save, data: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the data are read; the message names those that are."""
    words = [command, str(save({})), "--data", str(data / "none"), "--device", "tpu"]
    assert main(words) == 2
    assert "--device tpu: torch cannot use it on this machine" in capsys.readouterr().err


def measured(file: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> float:
    """What the command measures."""
    capsys.readouterr()
    assert main(["evaluate", str(file), "--data", str(data), "--threads", "1", "--json"]) == 0
    top1: float = json.loads(capsys.readouterr().out)[FIGURE]
    return top1


def test_all_samples_need_not_be_enough_to_be_divided(
    save: Save, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are taken as they are, down to one of each class; their order is no matter."""
    file = save({})
    words = ["evaluate", str(file), "--data", str(data), "--split", "all", "--threads", "1"]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 60
    data.write_text("".join(data.read_text().splitlines(keepends=True)[:3]))
    assert main(words) == 0
    assert "(2 samples)" in capsys.readouterr().out
    assert main(words[:4]) == 2
    assert "1 different sample, too few to be divided" in " ".join(capsys.readouterr().err.split())


def test_a_figure_that_holds_is_confirmed(
    save: Save, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within 0.1 points; of several trainings it is the value of these weights that counts."""
    top1 = measured(save({}), data, capsys)
    assert check(save({FIGURE: {"mean": top1 + 0.0009}}), data) == 0
    assert "it holds" in capsys.readouterr().out
    several = {"mean": top1 - 0.3, "std": 0.1, "seeds": 3, "value": top1}
    assert check(save({FIGURE: several}), data) == 0


def test_a_figure_that_does_not_hold_is_a_problem(
    save: Save, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and both figures."""
    top1 = measured(save({}), data, capsys)
    assert check(save({FIGURE: {"mean": top1 + 0.002}}), data) == 1
    assert f"published {100 * top1 + 0.2:.2f} %: it does NOT hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({}, "has no published texts/test/top1. There are none."),
        (
            {"texts/validation/top1": {"mean": 0.5}},
            "has no published figure for test of texts. It has one for validation; check that with --split validation.",
        ),
        ({FIGURE: {"mean": 0.5, "seeds": 3}}, "is a mean over 3 trainings"),
    ],
)
def test_a_figure_that_nobody_published_cannot_be_checked(
    metrics: dict[str, Any],
    message: str,
    save: Save,
    data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says so."""
    assert check(save(metrics), data) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_figure_of_other_samples_is_not_checked(
    save: Save, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data of the same name that have grown say nothing about it."""
    request = DataRequest(what=str(data))
    digests = open_data(request, {}, vocabulary=("good", "bad", "film")).digests
    for split, code in (("train", 1), ("test", 2)):
        others = {**digests, split: "other"}
        file = save({FIGURE: {"mean": 0.9}}, data="texts", digests=others)
        assert check(file, data) == code
    assert f"test split of texts has other samples than when {file} was" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (("no", "yes"), None),
        (("yes", "no"), "the model has these classes in another order; they are matched by name"),
        (("yes", "maybe", "no"), "there are samples of 2 of the model's 3 classes"),
    ],
)
def test_classes_are_matched_by_name(
    labels: tuple[str, ...],
    note: str | None,
    tmp_path: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever their order in the model, and if it tells more apart; the latter are told."""
    file = says_no(tmp_path, *labels)
    rows = [f"film {n},{'yes' if n % 3 else 'no'}" for n in range(60)]
    data.write_text("\n".join(["text,label", *rows]))
    words = ["evaluate", str(file), "--data", str(data), "--split", "all", "--json"]
    assert main([*words, "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["texts/all/top1"] == pytest.approx(20 / 60)
    assert note in err if note else err == ""


def test_a_model_is_measured_on_one_of_its_classes(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of classes that it does not know they are refused, with those that it does."""
    file = says_no(tmp_path, "yes", "no")
    data.write_text("text,label\ngood film,no\nbad film,no\n")
    words = ["evaluate", str(file), "--data", str(data), "--split", "all", "--threads", "1"]
    assert main(words) == 0
    assert "accuracy 100.00 %" in capsys.readouterr().out
    data.write_text("text,label\ngood film,no\nbad film,perhaps\n")
    assert main(words) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert (
        "1 sample (texts.csv:3) is of the class 'perhaps', but the model's classes are yes, no"
        in error
    )


def test_classes_without_names_are_all_needed(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which of them some are could only be guessed."""
    model = zoo.compose(
        {"name": "text_cnn", "embedding_dim": 4, "maps": 4},
        num_classes=3,
        input={"kind": "text", "vocabulary": ["good"]},
    )
    file = zoo.save(model, tmp_path / "unnamed.safetensors")
    assert main(["evaluate", str(file), "--data", str(data), "--threads", "1"]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "has 3 classes without names, and texts has 2, no, yes: which is which" in error


def test_what_there_is_to_know_of_the_data_is_told(
    save: Save, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when they are trained on: samples that contradict each other, for one."""
    with data.open("a") as file:
        file.write("good film number 1,no\n")
    assert main(["evaluate", str(save({})), "--data", str(data), "--threads", "1"]) == 0
    assert "note: 2 samples of texts have equals with another label" in capsys.readouterr().err


def test_a_tenth_of_a_point_holds(save: Save, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last digit that is published: 0.984 and 0.985 differ by a little more as floating-point numbers."""
    score = Score(0.984, 1.0, 1000, torch.ones(1000, dtype=torch.bool))
    monkeypatch.setattr("zoo.train.evaluation.together", lambda scores: score)
    assert abs(0.984 - 0.985) > 0.001
    assert check(save({FIGURE: {"mean": 0.985, "seeds": 1}}), data) == 0
    assert check(save({FIGURE: {"mean": 0.9851, "seeds": 1}}), data) == 1

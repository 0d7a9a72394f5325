"""What was kept from a model in its training is what it is measured on, and is kept from it in the next one."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import zoo
from zoo.cli import main
from zoo.cli.unseen import Trained, choose, kept_request, trained, unseen_request
from zoo.errors import InvalidValue
from zoo.train.data import open_data
from zoo.train.data.request import DataRequest
from zoo.weights import parse

SPEC = "text_cnn(embedding_dim=4, maps=4, kernel_sizes=[2]) + max"
ARGUMENTS = {
    "data": "fsdd",
    "root": "x",
    "text": None,
    "label": None,
    "hold_out": None,
    "unreadable": None,
    "leaks": None,
    "split_seed": None,
}


class Seeds(NamedTuple):
    """Data, and the folder of a run for each split seed."""

    data: Path
    runs: dict[int, Path]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    """Train on 90 texts, divided by 0 and by 7."""
    folder = tmp_path_factory.mktemp("unseen")
    data = folder / "texts.csv"
    lines = [f"{('bad', 'good')[i % 2]} film number {i},{('no', 'yes')[i % 2]}" for i in range(90)]
    data.write_text("text,label\n" + "\n".join(lines) + "\n")
    runs = {seed: folder / f"s{seed}" for seed in (0, 7)}
    for seed, run in runs.items():
        words = ["train", SPEC, "--data", str(data), "--epochs", "1", "--threads", "1"]
        assert main([*words, "--split-seed", str(seed), "--output", str(run)]) == 0
    return Seeds(data, runs)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The split seeds of all data that are opened."""
    opened: list[int] = []

    def note(request: DataRequest, *args: Any, **options: Any) -> Any:
        opened.append(request.split_seed)
        return open_data(request, *args, **options)

    for module in ("zoo.cli.beginning", "zoo.train.data.for_model"):
        monkeypatch.setattr(f"{module}.open_data", note)
    return opened


def run(command: str, seeds: Seeds, *words: object) -> int:
    """Run a command on the data."""
    return main([command, *map(str, words), "--data", str(seeds.data), "--threads", "1"])


def test_a_file_is_measured_on_the_splits_of_its_training(
    seeds: Seeds, measured: list[int]
) -> None:
    """Without a word of it on the command line, and with the right one."""
    best = seeds.runs[7] / "best.safetensors"
    assert run("evaluate", seeds, best) == 0
    assert run("evaluate", seeds, best, "--split-seed", 7) == 0
    assert measured == [7, 7]


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_samples_of_train_are_not_measured(
    command: str, seeds: Seeds, measured: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Another seed is refused; only for every sample together it does not matter, which is told."""
    best = seeds.runs[7] / "best.safetensors"
    assert run(command, seeds, best, "--split-seed", 0) == 2
    message = "was trained with --split-seed 7; --split-seed 0 may measure it on samples that it"
    assert message in " ".join(capsys.readouterr().err.split())
    assert measured == []
    assert run("evaluate", seeds, best, "--split-seed", 0, "--split", "all") == 0
    told = " ".join(capsys.readouterr().err.split())
    assert f"among these samples are those that {best} was trained on" in told


def test_each_run_is_measured_on_its_own_splits(
    seeds: Seeds, measured: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """As its folder says; another seed is refused even where the figures are there."""
    folder = seeds.runs[7]
    assert run("compare", seeds, folder) == 0
    assert measured == [7]
    assert json.loads((folder / "evaluations.json").read_text())
    assert run("compare", seeds, folder, "--split-seed", 0) == 2
    assert "was trained with --split-seed 7" in " ".join(capsys.readouterr().err.split())


@pytest.fixture
def version(seeds: Seeds, make_registry: Any) -> str:
    """The best model of seed 7, published."""
    content = (seeds.runs[7] / "best.safetensors").read_bytes()
    said = parse(content, "best").metadata
    entry = {name: said[name] for name in ("spec", "recipe", "provenance")}
    zoo.add_registry("team", make_registry(film={"1.0.0": {**entry, "blob": content}}).base)
    return "team/film@1.0.0"


def test_a_training_that_goes_on_keeps_the_splits_of_the_one_before(
    seeds: Seeds, version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a file's weights, a version's, or by a version's recipe; another seed is refused."""
    best = seeds.runs[7] / "best.safetensors"
    before = json.loads((seeds.runs[7] / "splits.json").read_text())
    ways: dict[str, tuple[object, ...]] = {
        "start": (SPEC, "--start-from", best, "--epochs", 1),
        "finetune": (version, "--finetune", "--epochs", 1),
        "reproduce": (version, "--reproduce"),
    }
    for name, words in ways.items():
        assert run("train", seeds, *words, "--output", tmp_path / name, "--split-seed", 0) == 2
        message = "with --split-seed 7; --split-seed 0 may train it on samples that were kept to"
        assert message in " ".join(capsys.readouterr().err.split())
        assert run("train", seeds, *words, "--output", tmp_path / name) == 0
        assert json.loads((tmp_path / name / "splits.json").read_text()) == before


def test_a_training_on_other_data_or_from_the_beginning_is_divided_as_it_likes(
    seeds: Seeds, version: str, measured: list[int], tmp_path: Path
) -> None:
    """There is nothing in it that was kept from the model."""
    other = Seeds(tmp_path / "others.csv", {})
    other.data.write_bytes(seeds.data.read_bytes())
    words = (version, "--epochs", 1, "--output")
    assert run("train", other, *words, tmp_path / "a", "--finetune", "--split-seed", 3) == 0
    assert run("train", other, *words, tmp_path / "b", "--finetune") == 0
    assert run("train", seeds, *words, tmp_path / "c") == 0
    assert measured == [3, 0, 0]


def test_models_of_other_splits_are_not_compared(
    seeds: Seeds, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no test split that neither has seen."""
    files = [seeds.runs[seed] / "last.safetensors" for seed in (0, 7)]
    assert run("compare", seeds, *files) == 2
    assert "were trained with other splits of texts" in " ".join(capsys.readouterr().err.split())


def test_a_run_is_resumed_with_its_own_seed(
    seeds: Seeds, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the data named again, and not with another seed."""
    assert run("train", seeds, "--resume", seeds.runs[7]) == 0
    assert run("train", seeds, "--resume", seeds.runs[7], "--split-seed", 0) == 2
    assert "was started with other data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "before", "expected"),
    [
        (None, Trained("m", "fsdd-speaker-ann", 0, "speaker=ann"), "speaker=ann"),
        ("speaker=ann", Trained("m", "fsdd-speaker-ann", 0, "speaker=ann"), "speaker=ann"),
        (None, Trained("m", "other", 0, "speaker=ann"), None),
        ("speaker=bob", Trained("m", "other", 0), "speaker=bob"),
        ("speaker=bob", Trained("m", "fsdd"), "speaker=bob"),
        ("speaker=bob", Trained("m", "fsdd-two", 0), "speaker=bob"),
        ("speaker=bob", Trained("m", "fsdd-speaker-bob", 0), "speaker=bob"),
    ],
)
def test_what_was_held_out_is_held_out_again(
    given: str | None, before: Trained, expected: str | None
) -> None:
    """In the same data; other data, and trainings of which nothing is known, bind nothing."""
    args = Namespace(**{**ARGUMENTS, "hold_out": given})
    assert unseen_request(args, before).hold_out == expected


def test_another_hold_out_is_refused() -> None:
    """Whether something else was held out or nothing; a default that is named is no other."""
    bob = Namespace(**{**ARGUMENTS, "hold_out": "speaker=bob"})
    with pytest.raises(InvalidValue, match="was trained with --hold-out speaker=ann; --hold-out"):
        unseen_request(bob, Trained("m", "fsdd-speaker-ann", 0, "speaker=ann"))
    with pytest.raises(InvalidValue, match="was trained with no --hold-out"):
        unseen_request(bob, Trained("m", "fsdd", 0))
    fold = Namespace(**{**ARGUMENTS, "data": "mr", "hold_out": "fold=0"})
    assert unseen_request(fold, Trained("m", "mr-fold-0", 0)).hold_out == "fold=0"


def test_models_of_unknown_or_other_origin_follow_those_trained_on_the_data() -> None:
    """Where none was, each goes by its own."""
    args = Namespace(**ARGUMENTS)
    unknown, other, own = Trained("a"), Trained("b", "mnist", 3), Trained("c", "fsdd", 7)
    assert choose(args, [unknown, other, own]) == [own, own, own]
    assert choose(args, [unknown, other]) == [other, other]
    assert choose(args, [unknown]) == [unknown]


def test_samples_that_are_amiss_are_treated_as_for_the_training() -> None:
    """Else validation would have others; what is asked for goes first, and other data have nothing to do with it."""
    before = trained("m", {"data": "fsdd", "split_seed": 0, "leaks": "drop", "unreadable": "skip"})
    request = unseen_request(Namespace(**ARGUMENTS), before)
    assert (request.leaks, request.unreadable) == ("drop", "skip")
    request = unseen_request(Namespace(**{**ARGUMENTS, "leaks": "refuse"}), before)
    assert (request.leaks, request.unreadable) == ("refuse", "skip")
    request = kept_request(Namespace(**{**ARGUMENTS, "data": "mnist"}), before)
    assert (request.leaks, request.unreadable) == ("report", "refuse")


def test_data_whose_name_goes_on_are_other_data() -> None:
    """Only what was held out follows in the name of the same ones."""
    before = trained("m", {"data": "cifar10-jpeg", "split_seed": 0, "leaks": "drop"})
    for request_for in (unseen_request, kept_request):
        assert request_for(Namespace(**{**ARGUMENTS, "data": "cifar10"}), before).leaks == "report"
    before = before._replace(data="fsdd-speaker-ann", hold_out="speaker=ann")
    assert unseen_request(Namespace(**ARGUMENTS), before).leaks == "drop"
    before = before._replace(data="fsdd-two-speaker-ann")
    assert unseen_request(Namespace(**ARGUMENTS), before).leaks == "report"


def test_the_fold_that_mr_holds_out_by_itself_is_a_part_of_its_name() -> None:
    """Whether it was said or not; another one is refused."""
    for held in (None, "fold=0"):
        before = Trained("m", "mr-fold-0", 0, held, {"leaks": "drop"})
        for asked in (None, "fold=0"):
            args = Namespace(**{**ARGUMENTS, "data": "mr", "hold_out": asked})
            assert unseen_request(args, before).leaks == "drop"
        args = Namespace(**{**ARGUMENTS, "data": "mr", "hold_out": "fold=1"})
        with pytest.raises(InvalidValue, match="--hold-out fold=1 may measure it on samples"):
            unseen_request(args, before)


def test_what_a_provenance_says_in_another_form_is_not_taken_for_a_seed() -> None:
    """It is free text, and anybody's."""
    for said in (
        {"data": ["a"], "split_seed": "7", "hold_out": 3, "leaks": "all", "unreadable": []},
        ["data"],
        None,
    ):
        assert trained("m", said) == Trained("m")

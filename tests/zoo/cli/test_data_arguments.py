"""`zoo train` and `zoo evaluate` on data of one's own, from the words on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo.cli import main
from zoo.train.data.splits import Split
from zoo.train.evaluation import Score, evaluate
from zoo.train.run_folder import RunFolder
from zoo.weights import parse

REVIEWS = "".join(
    f'{n},"{("a fine", "a poor")[n % 2]} film, number {n}",{n % 2}\n' for n in range(60)
)
TEXT_CNN = "text(length=20) -> text_cnn(embedding_dim=4, maps=4) + max"
PLAIN_CNN = (
    "image(channels=3, size=[8, 8]) -> plain_cnn(widths=[4], depths=1) + se@last(reduction=2)"
)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A table of 60 reviews with stars."""
    path = tmp_path / "reviews.csv"
    path.write_text(f"id,review,stars\n{REVIEWS}")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with 20 dark and 20 light images of several sizes."""
    random = np.random.default_rng(0)
    for label, grey in (("dark", 40), ("light", 200)):
        (tmp_path / "My Photos" / label).mkdir(parents=True)
        for number in range(20):
            shape = (8 + number % 3, 9, 3)
            pixels = np.clip(random.normal(grey, 10, shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "My Photos" / label / f"{number}.png")
    return tmp_path / "My Photos"


def _train(*words: object, epochs: int = 2) -> int:
    return main(["train", *map(str, words), "--epochs", str(epochs), "--threads", "1"])


def _columns(path: Path) -> list[str]:
    return ["--data", str(path), "--text", "review", "--label", "stars"]


def test_a_table_of_texts_is_trained_on_evaluated_and_resumed(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its columns; the figures of the file are those of the run, and its split is the same."""
    run = tmp_path / "run"
    assert _train(TEXT_CNN, *_columns(reviews), "--output", run, "--learning-rate", "0.05") == 0
    splits = json.loads((run / "splits.json").read_text())
    train, validation, test = (len(names) for names in splits.values())
    assert train + validation + test == 60
    said = f"{train} samples to train on, {validation} to validate"
    assert said in capsys.readouterr().out
    best = run / "best.safetensors"
    words = ["evaluate", str(best), *_columns(reviews), "--split", "validation", "--json"]
    assert main(words) == 0
    figures = json.loads(capsys.readouterr().out)
    history = json.loads((run / "result.json").read_text())["best"]
    assert figures["reviews/validation/top1"] == pytest.approx(history["validation/top1"])
    assert {one.label for one in zoo.predict(zoo.load(best), "a fine film")} == {"0", "1"}
    assert main(["train", "--resume", str(run), *_columns(reviews), "--threads", "1"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", str(run), "--data", str(tmp_path), "--threads", "1"]) == 2
    assert "was started with other data" in capsys.readouterr().err
    head, first, *others = reviews.read_text().splitlines(keepends=True)
    reviews.write_text("".join([head, "\n", *others, first.replace("a fine", "quite another")]))
    assert main(["train", "--resume", str(run), "--threads", "1"]) == 2
    moved = "1 sample is new (reviews.csv:62), 1 sample is gone (reviews.csv:2)"
    assert moved in capsys.readouterr().err


def test_a_text_model_is_trained_on_with_its_vocabulary(reviews: Path, tmp_path: Path) -> None:
    """A start from its file takes the numbers of its words, also when it is resumed."""
    words = ["--data", str(reviews), "--text", "review", "--label", "stars"]
    path = tmp_path / "a.yaml"
    path.write_text(
        f'spec: "{TEXT_CNN}"\nrecipe: {{vocabulary: {{most: 6}}, learning_rate: 1.0e-30}}'
    )
    assert _train(path, *words, "--output", tmp_path / "first", epochs=1) == 0
    first = zoo.load(tmp_path / "first" / "last.safetensors")
    assert first.vocabulary is not None
    assert len(first.vocabulary.tokens()) == 6
    path.write_text(path.read_text().replace("{most: 6}", "{most: 9}"))
    start = ["--start-from", tmp_path / "first" / "last.safetensors"]
    assert _train(path, *words, *start, "--output", tmp_path / "second", epochs=1) == 0
    assert main(["train", "--resume", str(tmp_path / "second"), "--threads", "1"]) == 0
    second = zoo.load(tmp_path / "second" / "last.safetensors")
    assert second.spec == first.spec
    assert all(
        torch.allclose(value, second.state_dict()[name])
        for name, value in first.state_dict().items()
    )


def test_file_names_cannot_write_to_the_terminal(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is told of them is escaped."""
    (photos / "dark" / "\x1b[31mred.txt").write_text("")
    assert _train(PLAIN_CNN, "--data", photos, "--output", tmp_path / "run", epochs=1) == 0
    assert "dark/\\x1b[31mred.txt" in capsys.readouterr().out


def test_a_folder_of_photos_is_trained_on(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Classes are the folders, the split is written down, and what was done to the images is said."""
    assert _train(PLAIN_CNN, "--data", photos, "--output", tmp_path / "run") == 0
    printed = capsys.readouterr().out
    assert "note: 40 images of other sizes (9x8 to 9x10) are resized and cropped to 8x8" in printed
    splits = json.loads((tmp_path / "run" / "splits.json").read_text())
    assert sum(len(names) for names in splits.values()) == 40
    assert all(len(names) >= 2 for names in splits.values())  # one of each class
    best = tmp_path / "run" / "best.safetensors"
    assert zoo.load(best).labels == ("dark", "light")
    assert main(["evaluate", str(best), "--data", str(photos), "--split", "all"]) == 0
    assert "(40 samples)" in capsys.readouterr().out
    recipe = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert recipe["augment"] == [{"name": "crop", "padding": 1}, {"name": "flip"}]


def test_a_variant_is_fine_tuned_to_other_classes(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its weights are where the training begins, with a new classifier; its input stays as it is."""
    run = tmp_path / "run"
    words = ["attn_cnn_mnist", "--finetune", "--data", photos, "--output", run]
    assert _train(*words, "--learning-rate", "1e-9", epochs=1) == 0
    assert "(9x8 to 9x10) are resized and cropped to 28x28" in capsys.readouterr().out
    tuned = zoo.load(run / "last.safetensors")
    origin = zoo.create("attn_cnn_mnist", pretrained=True)
    assert tuned.labels == ("dark", "light")
    assert tuned.spec.input == origin.spec.input
    name = next(n for n in origin.state_dict() if n.startswith("backbone") and n.endswith("weight"))
    assert torch.allclose(tuned.state_dict()[name], origin.state_dict()[name], atol=1e-6)
    about = parse((run / "last.safetensors").read_bytes(), "last").metadata["provenance"]
    assert about["started_from"]["ref"].startswith("attn_cnn_mnist@2.")
    assert main(["train", "--resume", str(run), "--threads", "1"]) == 0


def test_a_variant_is_trained_anew_on_other_data(photos: Path, tmp_path: Path) -> None:
    """Without --finetune its spec and recipe are kept, and classes and normalisation are those of the data."""
    run = tmp_path / "run"
    assert _train("attn_cnn_mnist", "--data", photos, "--output", run, epochs=1) == 0
    model = zoo.load(run / "last.safetensors")
    assert model.labels == ("dark", "light")
    assert model.spec.input.mean != zoo.describe("attn_cnn_mnist").spec.input.mean


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plain_cnn + avg", "--reproduce"], "--reproduce needs a version with a recipe"),
        (["attn_cnn_mnist", "--reproduce", "--seed", "3"], "leave the other options out"),
        (["attn_cnn_small@1.0.0", "--reproduce"], "give that file with --start-from"),
        (
            ["attn_cnn_mnist", "--reproduce"],
            "trained on mnist, and these data are called my-photos",
        ),
        (["attn_cnn_mnist", "--finetune", "--start-from", "x"], "both say where to begin"),
        (
            ["image(size=[8, 8]) -> plain_cnn(pretrained=true) + avg"],
            "brings no pretrained weights of its own",
        ),
        ([TEXT_CNN], "takes texts, but the data 'my-photos' are images"),
        (["text_cnn + max"], "takes texts, but the data 'my-photos' are images"),
        ([PLAIN_CNN, "--text", "review"], "--text names a column of a table"),
        ([PLAIN_CNN, "--hold-out", "speaker=ann"], "needs sounds named"),
    ],
)
def test_words_that_contradict_each_other_are_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """Before a run is begun."""
    assert main(["train", *words, "--data", str(photos), "--output", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_fresh_classifier_follows_from_the_seed(photos: Path, tmp_path: Path) -> None:
    """Of a variant that is fine-tuned to other classes, too."""
    states = []
    for name in ("one", "two"):
        torch.manual_seed(len(states))
        words = ["attn_cnn_mnist", "--finetune", "--data", photos, "--output", tmp_path / name]
        assert _train(*words, "--seed", "4", epochs=1) == 0
        states.append(zoo.load(tmp_path / name / "last.safetensors").state_dict())
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_figures_of_other_data_of_the_same_name_are_not_kept(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`zoo evaluate` measures and says so; `zoo compare` refuses."""
    run, other = tmp_path / "run", tmp_path / "others" / photos.name
    assert _train(PLAIN_CNN, "--data", photos, "--output", run, epochs=1) == 0
    shutil.copytree(photos, other)
    for file in other.rglob("1*.png"):
        file.unlink()
    capsys.readouterr()
    assert main(["evaluate", str(run), "--data", str(other), "--threads", "1"]) == 0
    assert "not written down" in capsys.readouterr().err
    assert not (run / "evaluations.json").exists()
    assert main(["compare", str(run), "--data", str(other), "--threads", "1"]) == 2
    assert "had other samples" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--data", str(photos), "--threads", "1"]) == 0
    assert (run / "evaluations.json").exists()


def test_a_figure_belongs_to_the_weights_that_were_measured(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training may save a better model meanwhile, of which nothing is known yet."""
    run = tmp_path / "run"
    assert _train(PLAIN_CNN, "--data", photos, "--output", run, epochs=1) == 0
    measured = RunFolder(run).digest("best")

    def slow(model: zoo.Model, split: Split) -> Score:
        score = evaluate(model, split)
        for parameter in model.parameters():
            parameter.data.zero_()
        zoo.save(model, run / "best.safetensors")
        return score

    monkeypatch.setattr("zoo.train.evaluation.evaluate", slow)
    assert main(["evaluate", str(run), "--data", str(photos), "--threads", "1"]) == 0
    assert RunFolder(run).evaluations("best") == {}
    assert json.loads((run / "evaluations.json").read_text()).keys() == {measured}


def test_each_run_is_measured_on_data_as_it_takes_them(photos: Path, tmp_path: Path) -> None:
    """Two sizes of image, in one table: each figure is that of the run alone."""
    runs = []
    for size in (8, 12):
        runs.append(tmp_path / f"run{size}")
        spec = f"image(size=[{size}, {size}]) -> plain_cnn(widths=[4]) + avg"
        assert _train(spec, "--data", photos, "--output", runs[-1], epochs=1) == 0
    words = ["--data", str(photos), "--threads", "1"]
    assert main(["compare", *map(str, runs), "--model", "best", *words]) == 0
    for run in runs:
        together = json.loads((run / "evaluations.json").read_text())
        (run / "evaluations.json").unlink()
        assert main(["evaluate", str(run), *words]) == 0
        alone = json.loads((run / "evaluations.json").read_text())
        assert together.keys() == alone.keys()
        assert all(together[digest] == pytest.approx(alone[digest]) for digest in alone)

"""`zoo train` and `zoo evaluate`, from the words on the command line to files and figures."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from zoo.cli import main
from zoo.cli.beginning import _few_steps
from zoo.train.data import open_data
from zoo.train.data.request import DataRequest
from zoo.train.evaluation import evaluate
from zoo.weights import parse

SPEC = """\
spec:
  input: {kind: image, channels: 1, size: [28, 28]}
  backbone: {name: plain_cnn, widths: [4, 8], depths: [1, 1]}
  head: {name: avg}
recipe: {epochs: 1, batch_size: 32, learning_rate: 0.01, seed: 1}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 240 + 40 small images in MNIST's form, whose brightness tells their class."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for part, count in (("train", 240), ("t10k", 40)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = random.integers(0, 20, (count, 28, 28)) + 20 * labels[:, None, None]
        for name, array in (("images-idx3", images.astype(np.uint8)), ("labels-idx1", labels)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            path = folder / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))
    return folder


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A YAML file with a spec and a recipe."""
    path = tmp_path / "mine.yaml"
    path.write_text(SPEC)
    return path


def _train(spec: Path, root: Path, *more: str) -> int:
    words = ["train", str(spec), "--data", "mnist", "--root", str(root), "--threads", "1"]
    return main([*words, *more])


def _take_interrupts() -> None:
    """Undo what shells do to processes in the background, and these hand on: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_process_that_is_stopped_says_how_to_go_on(
    number: signal.Signals, spec: Path, root: Path, tmp_path: Path
) -> None:
    """Ctrl-C and the signal of schedulers, in the midst of it: the exit code of the signal, and the same end as without."""
    words = ["train", str(spec), "--data", "mnist", "--root", str(root), "--threads", "1"]
    words += ["--epochs", "20", "--output"]
    run, whole = tmp_path / "run", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", *words, str(run)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=_take_interrupts,  # noqa: PLW1509 - it takes no lock
    )
    assert process.stdout is not None
    assert any(line.startswith("epoch 1/20") for line in process.stdout)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 128 + number, err
    assert re.search(rf"Stopped in .*epoch \d+.* Go on with: zoo train --resume {run}\n", out)
    assert main([*out.rpartition("Go on with: zoo ")[2].split(), "--threads", "1"]) == 0
    assert main([*words, str(whole)]) == 0
    last, other = (zoo.load(folder / "last.safetensors").state_dict() for folder in (run, whole))
    assert all(torch.equal(last[name], other[name]) for name in other)


def test_a_file_is_trained_evaluated_and_resumed(
    spec: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trained file carries what the data gave, and its figures are those that are printed."""
    run = tmp_path / "runs" / "one"
    assert _train(spec, root, "--output", str(run), "--epochs", "2") == 0
    printed = capsys.readouterr().out
    assert "220 samples to train on, 20 to validate; 6 batches of 32 an epoch." in printed
    assert "epoch 2/2" in printed
    assert f"in {run / 'best.safetensors'}" in printed
    hint = printed.rpartition("Measure it on the test split: ")[2].split()
    assert hint == ["zoo", "evaluate", str(run), "--data", "mnist", "--root", str(root)]
    model, data = (
        zoo.load(run / "best.safetensors"),
        open_data(DataRequest(what="mnist", root=str(root))),
    )
    assert model.labels == tuple("0123456789")
    assert model.spec.input == data.source

    what = ["evaluate", str(run / "best.safetensors"), "--data", "mnist", "--root", str(root)]
    assert main([*what, "--split", "validation", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    score = evaluate(model, data.validation)
    assert figures == {
        "mnist/validation/top1": score.accuracy,
        "mnist/validation/loss": pytest.approx(score.loss, rel=1e-5),
        "samples": 20,
    }
    assert main(what) == 0
    assert "mnist/test  accuracy" in capsys.readouterr().out


def test_a_run_that_has_ended_is_said_to_have(
    spec: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where its model is, how to measure it, and how to train on; to resume it is advised to nobody."""
    run = tmp_path / "run"
    assert _train(spec, root, "--output", str(run)) == 0
    assert "nothing was trained" not in capsys.readouterr().out
    resume = ["train", "--resume", str(run), "--threads", "1"]
    assert main(resume) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "has ended before, after 1 epoch; nothing was trained now. Best: epoch 1," in printed
    assert f"in {run / 'best.safetensors'}. Measure it on the test split: zoo evaluate" in printed

    start = f"--start-from {run / 'last.safetensors'}."
    assert main([*resume, "--epochs", "3", "--seed", "1"]) == 2
    error = " ".join(capsys.readouterr().err.split())
    expected = f"epochs 1 (asked: 3). It has ended; to train on, begin another run with {start}"
    assert f"was started with another recipe: {expected}" in error
    assert _train(spec, root, "--output", str(run)) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert (
        f"which has ended. Choose another folder with --output; to begin with its weights, {start}"
        in error
    )

    (run / "result.json").unlink()
    assert main([*resume, "--epochs", "3"]) == 2
    assert _train(spec, root, "--output", str(run)) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "recipe: epochs 1 (asked: 3). Resume it as it was, or start another run" in error
    assert f"Resume it (zoo train --resume {run}), or choose another folder with --output" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.yaml", "--data", "mnist"], "nowhere.yaml cannot be read"),
        (["plain_cnn + avg"], "zoo train needs --data"),
        (["plain_cnn + avg", "--data", "mnist", "--epochs", "0"], "recipe.epochs: 0 is not"),
        (["--resume", "nowhere"], "nowhere holds no run"),
    ],
)
def test_what_is_asked_is_checked_before_what_trains_is_imported(
    words: list[str], message: str
) -> None:
    """Which takes seconds."""
    code = (
        "import sys; from zoo.cli import main\n"
        "code = main(['train', *sys.argv[1:]])\n"
        "sys.exit(9 if {'torch', 'lightning'} & sys.modules.keys() else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, message in done.stderr) == (2, True)


def test_a_training_begins_with_the_weights_of_a_file(
    spec: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a vanishing learning rate the model stays what it was, and the file says where it began."""
    assert _train(spec, root, "--output", str(tmp_path / "first")) == 0
    first = tmp_path / "first" / "last.safetensors"
    words = ("--output", str(tmp_path / "second"), "--learning-rate", "1e-30")

    assert _train(spec, root, "--start-from", str(first), *words) == 0

    second = tmp_path / "second" / "last.safetensors"
    before, after = zoo.load(first).state_dict(), zoo.load(second).state_dict()
    weights = [name for name in before if name.endswith("weight")]
    assert all(torch.equal(before[name], after[name]) for name in weights)
    provenance = parse(second.read_bytes(), "second").metadata["provenance"]
    assert provenance["started_from"]["sha256"] == hashlib.sha256(first.read_bytes()).hexdigest()
    assert provenance["started_from"]["recipe"]["learning_rate"] == 0.01
    noted = json.loads((tmp_path / "second" / "run.json").read_text())["digests"]
    assert provenance["digests"] == noted
    assert noted.keys() == {"train", "validation", "test"}

    whitening = tmp_path / "whitening.yaml"
    whitening.write_text(SPEC.replace("seed: 1", "seed: 1, whiten: true"))
    words = ("--output", str(tmp_path / "third"), "--learning-rate", "1e-30")
    capsys.readouterr()
    assert _train(whitening, root, "--start-from", str(first), *words) == 0
    assert "note: the recipe's whiten is left out" in capsys.readouterr().out
    third = tmp_path / "third" / "last.safetensors"
    assert torch.equal(zoo.load(third).state_dict()[weights[0]], before[weights[0]])
    assert parse(third.read_bytes(), "third").metadata["recipe"]["whiten"] is False

    other = tmp_path / "other.yaml"
    other.write_text(SPEC.replace("[4, 8]", "[4, 4]"))
    capsys.readouterr()
    assert (
        _train(other, root, "--start-from", str(first), "--output", str(tmp_path / "fourth")) == 2
    )
    assert "is of another spec than what is trained" in capsys.readouterr().err


def _texts(path: Path, *labels: str) -> Path:
    lines = [f"{label} film number {n},{label}" for n in range(30) for label in labels]
    path.write_text("\n".join(["text,label", *lines]))
    return path


def test_a_training_goes_on_with_the_classes_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In their order, by name, and if the data have some alone; it can be stopped and resumed all the same."""
    torch.manual_seed(0)
    data, run = _texts(tmp_path / "t.csv", "no", "yes"), tmp_path / "run"
    model = zoo.compose(
        {"name": "text_cnn", "embedding_dim": 4, "maps": 4, "kernel_sizes": [2]},
        head="max",
        labels=["yes", "maybe", "no"],
        input={"kind": "text", "vocabulary": ["yes", "no", "film"]},
    )
    file = str(zoo.save(model, tmp_path / "first.safetensors"))
    text = "text_cnn(embedding_dim=4, maps=4, kernel_sizes=[2]) + max"
    words = ["train", text, "--data", str(data), "--threads", "1", "--start-from", file]
    quick = ["--epochs", "8", "--batch-size", "8", "--learning-rate", "0.1"]
    assert main([*words, *quick, "--output", str(run)]) == 0
    assert "there are samples of 2 of the model's 3 classes" in capsys.readouterr().out
    trained = zoo.load(run / "last.safetensors")
    assert trained.labels == ("yes", "maybe", "no")
    assert zoo.predict(trained, "yes film number")[0].label == "yes"
    assert main(["train", "--resume", str(run), "--threads", "1"]) == 0
    _texts(data, "no", "perhaps")
    capsys.readouterr()
    assert main([*words, "--output", str(tmp_path / "other")]) == 2
    assert "of the class 'perhaps', but the model's" in " ".join(capsys.readouterr().err.split())


def test_the_classes_of_a_spec_are_those_of_the_data_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of the spec; one of which there is no sample could never be learned."""
    data, spec = _texts(tmp_path / "t.csv", "no", "yes"), tmp_path / "spec.yaml"
    text = "spec:\n  backbone: text_cnn\n  output: {labels: ['yes', %s]}\nrecipe: {epochs: 1}\n"
    words = ["train", str(spec), "--data", str(data), "--threads", "1"]
    words += ["--output", str(tmp_path / "run")]
    spec.write_text(text % "maybe, 'no'")
    assert main(words) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "spec.output.labels names maybe, of which train of t has no sample" in error
    spec.write_text(text % "'no'")
    assert main(words) == 0
    assert zoo.load(tmp_path / "run" / "last.safetensors").labels == ("yes", "no")


def test_a_version_is_trained_again_and_compared(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its own recipe, normalised as it was; each published figure stands beside the new one."""
    run = tmp_path / "run"
    words = ["train", "attn_cnn_mnist@1.0.0", "--data", "mnist", "--root", str(root), "--reproduce"]
    assert main([*words, "--output", str(run), "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    version = zoo.describe("attn_cnn_mnist@1.0.0")
    model = zoo.load(run / "best.safetensors")
    assert model.spec == version.spec
    recipe = parse((run / "best.safetensors").read_bytes(), "best").metadata["recipe"]
    assert {name: recipe[name] for name in version.recipe} == version.recipe
    data = open_data(DataRequest(what="mnist", root=str(root)))
    accuracy = evaluate(model, data.test).accuracy
    points = 100 * accuracy - 99.53
    assert (
        f"mnist/test/top1  {100 * accuracy:.2f} %, published 99.53 %: {points:+.2f} points"
        in printed
    )
    assert "mnist/validation/top1" in printed

    other = tmp_path / "other.safetensors"
    zoo.save(model, other)
    for ref, message in (
        ("attn_cnn_mnist@1.0.0", "did not begin with the weights of another training"),
        ("attn_cnn_small@1.0.0", "began with other weights"),
    ):
        words[1] = ref
        assert main([*words, "--start-from", str(other), "--output", str(tmp_path / "second")]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_a_spec_in_short_form_is_trained(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is named after its words; the recipe is the default one."""
    monkeypatch.chdir(tmp_path)
    text = "image(channels=1, size=[28, 28]) -> plain_cnn(widths=[4]) + se@last + avg"
    words = [
        "train",
        text,
        "--data",
        "mnist",
        "--root",
        str(root),
        "--epochs",
        "1",
        "--threads",
        "1",
        "--device",
        "cpu",
    ]
    assert main(words) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name == "image_channels_1_size_28_28_plain_cnn_widths_4_se_last_avg"
    model = zoo.load(folder / "last.safetensors")
    assert [placement.name for placement in model.spec.attention] == ["se"]
    assert model.labels == tuple("0123456789")


@pytest.mark.parametrize(
    ("batch_size", "note"),
    [
        (
            "128",
            "note: 1 step an epoch, and 92 samples left over in each; a smaller --batch-size (16)",
        ),
        (
            "23",
            "note: 9 steps an epoch, and 13 samples left over in each; a smaller --batch-size (16)",
        ),
        ("22", None),
    ],
)
def test_a_batch_too_large_for_the_samples_is_told(
    batch_size: str,
    note: str | None,
    spec: Path,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With one that makes at least ten steps of them; where there are ten, nothing is."""
    assert _train(spec, root, "--output", str(tmp_path / "run"), "--batch-size", batch_size) == 0
    printed = capsys.readouterr().out
    assert (note in printed) if note else ("an epoch;" not in printed)


@pytest.mark.parametrize(
    ("samples", "batch_size", "expected"), [(96, 128, ["(8)"]), (3, 128, []), (20, 4, [])]
)
def test_no_batch_size_is_named_that_is_no_smaller(
    samples: int, batch_size: int, expected: list[str]
) -> None:
    """Of very few samples no batch size makes many steps."""
    notes = _few_steps(samples, batch_size)
    assert re.findall(r"\(\d+\)", " ".join(notes)) == expected


def test_the_folder_is_named_after_the_file(
    spec: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --output the run goes to runs/<name>, and a second one is refused."""
    monkeypatch.chdir(tmp_path)
    assert _train(spec, root) == 0
    assert (tmp_path / "runs" / "mine" / "best.safetensors").is_file()
    assert _train(spec, root) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "zoo train needs WHAT"),
        (["x.yaml"], "zoo train needs --data"),
        (
            ["plain_cnn + avg", "--data", "mnist"],
            "mnist is the name of a data set; say with --root",
        ),
        (["x.yaml", "--data", "mnist", "--root", "."], "x.yaml cannot be read"),
        (["--resume", "nowhere"], "nowhere holds no run"),
        (["plain_cnn + avg", "--data", "mnist", "--threads", "0"], "--threads is 0"),
        (["plain_cnn + avg", "--data", "mnist", "--device", "gpux"], "--device gpux: torch cannot"),
        (["x.yaml", "--epochs", "two"], "invalid int value: 'two'"),
    ],
)
def test_what_is_missing_or_wrong_is_said(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line, without a traceback."""
    assert main(["train", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("recipe: {", "recip: {"), "expected the blocks 'spec' and 'recipe' and nothing else"),
        (("epochs: 1", "epoch: 1"), "recipe: unknown field 'epoch'. Did you mean 'epochs'"),
        (("channels: 1", "channels: 3"), "takes images of 3 channels"),
        (("size: [28, 28]", "size: [32, 32]"), "the data has 1 channels and 28x28 pixels"),
        (("  head: {name: avg}\n", "  output: {num_classes: 7}\n"), "classes do not fit mnist"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    spec: Path,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    message: str,
) -> None:
    """The message says what is wrong, and no run is begun."""
    assert change[0] in SPEC
    spec.write_text(SPEC.replace(*change))
    assert _train(spec, root, "--output", str(tmp_path / "run")) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_model_of_other_classes_is_not_evaluated(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Figures on classes that the model does not tell apart would mean nothing."""
    torch.manual_seed(0)
    model = zoo.compose(
        {"name": "plain_cnn", "widths": [4], "depths": [1]},
        input={"kind": "image", "channels": 1},
        labels=["cat", "dog"],
    )
    zoo.save(model, tmp_path / "m.safetensors")
    words = ["evaluate", str(tmp_path / "m.safetensors"), "--data", "mnist", "--root", str(root)]
    assert main(words) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert (
        "samples of the classes '0', '1', '2', '3', '4' and 5 more, but the model's classes are cat, dog"
        in error
    )


def test_without_lightning_the_extra_is_named(spec: Path, root: Path, tmp_path: Path) -> None:
    """The command says what to install, and leaves no folder behind."""
    output = str(tmp_path / "run")
    words = ["train", str(spec), "--data", "mnist", "--root", str(root), "--output", output]
    code = f"import sys; sys.modules['lightning'] = None; from zoo.cli import main; sys.exit(main({words!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "zoo: error: Training needs Lightning. Install it: pip install 'attn-zoo[train]'\n"
    )
    assert not Path(output).exists()

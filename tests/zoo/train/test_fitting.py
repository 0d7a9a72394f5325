"""Trainings: what they leave behind, and going on with one."""

from __future__ import annotations

import errno
import json
import logging
import math
import signal
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch

import zoo
from zoo.errors import InvalidValue, ZooError
from zoo.spec import Spec
from zoo.train.agreement import complete_spec
from zoo.train.data.dataset import Data
from zoo.train.data.splits import SequenceSplit
from zoo.train.evaluation import evaluate
from zoo.train.fitting import fit
from zoo.train.processes import Processes
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder
from zoo.train.task import Task
from zoo.train.trainer import Interrupted

RECIPE = Recipe(
    epochs=3,
    batch_size=20,
    learning_rate=0.02,
    augment=({"name": "crop", "padding": 1}, {"name": "flip"}),
    seed=5,
)
AUDIO_CNN = {"name": "audio_cnn", "sample_rate": 1000, "num_mels": 8, "widths": [4], "depths": 1}
NewModel = Callable[[], zoo.Model]


def test_a_training_learns_and_leaves_its_files(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """The loss falls, and the folder holds the best model with its recipe and the figures."""
    lines: list[str] = []
    fitted = fit(new_model(), data, RECIPE, RunFolder(folder), report=lines.append)
    losses = [figures["train/loss"] for figures in fitted.history]
    assert losses[-1] < 0.7 * losses[0]
    assert len(lines) == 3
    assert "epoch 3/3" in lines[-1]
    best = zoo.load(folder / "best.safetensors")
    score = evaluate(best, data.validation)
    assert score.accuracy == pytest.approx(fitted.best["validation/top1"])
    assert score.loss == pytest.approx(fitted.best["validation/loss"], rel=1e-5)
    result = json.loads((folder / "result.json").read_text())
    assert Recipe.from_data(result["recipe"]) == RECIPE
    assert Spec.from_data(result["spec"]) == best.spec
    figure = result["metrics"]["shades/validation/top1"]
    assert figure == {"mean": pytest.approx(score.accuracy, abs=1e-6), "seeds": 1}
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "run.json", "result.json", "metrics.csv", "curves.png", "best.safetensors", "last.safetensors", "last.ckpt", "logs"
    }  # fmt: skip


def test_resuming_ends_at_the_same_weights(data: Data, new_model: NewModel, tmp_path: Path) -> None:
    """A run that Ctrl-C stopped and that was resumed equals one that was not stopped, to the last bit."""
    fit(new_model(), data, RECIPE, RunFolder(tmp_path / "whole"))
    calls: list[str] = []

    def interrupt(line: str) -> None:
        calls.append(line)
        if len(calls) == 2:
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    broken = tmp_path / "broken"
    with pytest.raises(Interrupted, match=f"Go on with: zoo train --resume {broken}"):
        fit(new_model(), data, RECIPE, RunFolder(broken), report=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    torch.manual_seed(99)
    fitted = fit(new_model(), data, RECIPE, RunFolder(broken), resume=True)
    assert [figures["epoch"] for figures in fitted.history] == [1, 2, 3]
    whole = zoo.load(tmp_path / "whole" / "last.safetensors").state_dict()
    resumed = zoo.load(broken / "last.safetensors").state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_an_interrupt_before_the_first_batch_says_that_nothing_is_kept(
    data: Data, new_model: NewModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to resume from yet, not even the weights to start with; nothing is in the way of another start."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Task, "configure_optimizers", interrupt)
        with pytest.raises(Interrupted, match="Nothing was trained yet"):
            fit(new_model(), data, RECIPE, RunFolder(folder))
    with pytest.raises(InvalidValue, match="ended before its training began; start it as before"):
        fit(new_model(), data, RECIPE, RunFolder(folder), resume=True)
    assert len(fit(new_model(), data, RECIPE, RunFolder(folder)).history) == RECIPE.epochs


def test_a_loss_that_is_not_finite_stops_the_training(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """The message says in which epoch, and what to try."""
    model = new_model()
    with torch.no_grad():
        model.classifier.weight.fill_(float("nan"))
    with pytest.raises(
        ZooError, match=r"loss became nan in epoch 1, batch 1\. .* No epoch .* lower learning rate"
    ):
        fit(model, data, RECIPE, RunFolder(folder))
    assert not (folder / "best.safetensors").exists()


def test_a_last_step_that_spoils_the_weights_stops_the_training(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """The training loss was a number to the end; it is the validation that finds out."""
    recipe = msgspec.structs.replace(
        RECIPE, epochs=1, batch_size=200, optimizer="sgd", learning_rate=1e30, schedule="constant"
    )
    with pytest.raises(ZooError, match=r"validation loss became nan in epoch 1\. .* No epoch"):
        fit(new_model(), data, recipe, RunFolder(folder))
    assert not (folder / "best.safetensors").exists()


def test_a_model_in_eval_mode_is_trained_as_one_in_training_mode(
    data: Data, new_model: NewModel, tmp_path: Path
) -> None:
    """As `zoo.load` gives it; its statistics move, too."""
    recipe = msgspec.structs.replace(RECIPE, epochs=1)
    histories = [
        fit(model, data, recipe, RunFolder(tmp_path / name)).history[0]["validation/loss"]
        for name, model in (("train", new_model().train()), ("eval", new_model().eval()))
    ]
    assert histories[0] == histories[1]


def test_a_checkpoint_without_its_run_is_not_gone_on_with(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """A fresh training would end as the one whose files are gone."""
    folder.mkdir()
    (folder / "last.ckpt").write_bytes(b"of another run")
    with pytest.raises(InvalidValue, match=r"the checkpoint of a run whose run\.json is gone"):
        fit(new_model(), data, RECIPE, RunFolder(folder))
    assert (folder / "last.ckpt").read_bytes() == b"of another run"


def test_a_full_disk_in_the_first_epoch_can_be_resumed(
    data: Data, new_model: NewModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No figures are written down of a model that could not be saved, so that the epoch is trained again."""
    whole = fit(new_model(), data, RECIPE, RunFolder(tmp_path / "whole"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "save_model", full)
        with pytest.raises(ZooError, match="Make room, and go on with"):
            fit(new_model(), data, RECIPE, RunFolder(tmp_path / "broken"))
    resumed = fit(new_model(), data, RECIPE, RunFolder(tmp_path / "broken"), resume=True)
    assert resumed.best["validation/loss"] == whole.best["validation/loss"]


def test_a_folder_with_a_run_is_not_overwritten(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """A second run in the same folder is refused, before anything is touched."""
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    with pytest.raises(InvalidValue, match="is no run of ours"):
        fit(new_model(), data, RECIPE, RunFolder(folder))
    assert (folder / "run.json").read_text() == "{}"
    run = json.dumps({"spec": {}, "recipe": {}, "data": "others"})
    (folder / "run.json").write_text(run)
    for kept in ("result.json", "metrics.csv", "last.ckpt", "best.safetensors"):
        (folder / kept).touch()
        with pytest.raises(InvalidValue, match="already holds a run"):
            fit(new_model(), data, RECIPE, RunFolder(folder))
        (folder / kept).unlink()
    assert (folder / "run.json").read_text() == run


def test_a_run_is_resumed_only_as_it_was_started(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """Another recipe, another spec, and a folder without a run are refused."""
    recipe = msgspec.structs.replace(RECIPE, epochs=1)
    with pytest.raises(InvalidValue, match="holds no run"):
        fit(new_model(), data, recipe, RunFolder(folder), resume=True)
    fit(new_model(), data, recipe, RunFolder(folder))
    other = msgspec.structs.replace(recipe, seed=6)
    with pytest.raises(InvalidValue, match="a run with another recipe"):
        fit(new_model(), data, other, RunFolder(folder), resume=True)
    larger = zoo.compose(
        {"name": "plain_cnn", "widths": [4, 16], "depths": [1, 1]},
        input=new_model().spec.to_data()["input"],
        labels=data.labels,
    )
    with pytest.raises(InvalidValue, match="a run with another spec"):
        fit(larger, data, recipe, RunFolder(folder), resume=True)


def test_models_that_do_not_fit_the_data_are_refused(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """Another number of classes, other classes, or other images: nothing is written."""
    model = new_model()
    model.reset_classifier(7)
    with pytest.raises(InvalidValue, match="7 classes, shades has 3"):
        fit(model, data, RECIPE, RunFolder(folder))
    model.reset_classifier(3, ["a", "b", "c"])
    with pytest.raises(InvalidValue, match="classes are a, b, c; those of shades are dark"):
        fit(model, data, RECIPE, RunFolder(folder))
    small = replace(data, train=replace(data.train, images=data.train.images[..., :4]))
    with pytest.raises(InvalidValue, match="the data has 1 channels and 8x4 pixels"):
        fit(new_model(), small, RECIPE, RunFolder(folder))
    assert not folder.exists()


def test_a_file_in_the_place_of_the_folder_is_refused(
    data: Data, new_model: NewModel, tmp_path: Path
) -> None:
    """The message names the folder that cannot be made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidValue, match="file/run cannot be made"):
        fit(new_model(), data, RECIPE, RunFolder(tmp_path / "file" / "run"))


def test_bfloat16_and_channels_last_train(data: Data, new_model: NewModel, folder: Path) -> None:
    """The other precision and memory format learn, too; the weights stay float32."""
    recipe = msgspec.structs.replace(RECIPE, precision="bf16", channels_last=True)
    fitted = fit(new_model(), data, recipe, RunFolder(folder))
    assert fitted.history[-1]["train/loss"] < 0.7 * fitted.history[0]["train/loss"]
    weights = zoo.load(fitted.path).state_dict().values()
    assert {value.dtype for value in weights if value.is_floating_point()} == {torch.float32}
    measured = evaluate(zoo.load(folder / "last.safetensors"), data.validation)
    assert fitted.history[-1]["validation/loss"] == pytest.approx(measured.loss, rel=1e-5)


def test_logging_and_warnings_are_as_before(data: Data, new_model: NewModel, folder: Path) -> None:
    """What holds Lightning's chatter back during a training is gone afterwards."""
    filters = list(warnings.filters)
    level = logging.getLogger("lightning.pytorch").level
    fit(new_model(), data, msgspec.structs.replace(RECIPE, epochs=1), RunFolder(folder))
    assert warnings.filters == filters
    assert logging.getLogger("lightning.pytorch").level == level


def test_resuming_keeps_the_average_too(data: Data, new_model: NewModel, tmp_path: Path) -> None:
    """With all that a recipe can say: the average, mixup and clipping end at the same bits."""
    recipe = msgspec.structs.replace(RECIPE, average=0.9, mixup=0.2, gradient_clip=1.0)
    whole = fit(new_model(), data, recipe, RunFolder(tmp_path / "whole"))
    lines: list[str] = []

    def interrupt(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="1 complete epoch is kept"):
        fit(new_model(), data, recipe, RunFolder(tmp_path / "broken"), report=interrupt)
    resumed = fit(new_model(), data, recipe, RunFolder(tmp_path / "broken"), resume=True)
    files = [fitted.path.with_name("last.safetensors") for fitted in (whole, resumed)]
    first, second = (zoo.load(path).state_dict() for path in files)
    assert all(torch.equal(first[name], second[name]) for name in first)
    score = evaluate(zoo.load(whole.path), data.validation)
    assert score.accuracy == pytest.approx(whole.best["validation/top1"])


def test_a_loss_that_breaks_later_keeps_what_was_good(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """The message says where and what is kept, and the best model is as before."""
    model, kept = new_model(), []

    def spoil(_line: str) -> None:
        kept.append((folder / "best.safetensors").read_bytes())
        with torch.no_grad():
            model.classifier.weight.fill_(float("inf"))

    expected = rf"in epoch 2, batch 1\. .* The 1 epoch before is kept in {folder}"
    with pytest.raises(ZooError, match=expected):
        fit(model, data, RECIPE, RunFolder(folder), report=spoil)
    assert (folder / "best.safetensors").read_bytes() == kept[0]
    zoo.load(folder / "best.safetensors")


def test_figures_of_every_epoch_stand_in_a_table(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """One line each, the same as in the result."""
    fitted = fit(new_model(), data, RECIPE, RunFolder(folder))
    head, *rows = (folder / "metrics.csv").read_text().splitlines()
    assert head.split(",") == list(fitted.history[0])
    for row, figures in zip(rows, fitted.history, strict=True):
        assert [float(cell) for cell in row.split(",")] == pytest.approx(
            list(figures.values()), rel=1e-5
        )


def test_the_learning_rate_of_an_epoch_is_that_of_its_last_step(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """A cosine over 20 steps, 10 an epoch; the rate of the step after the last one would be 0."""
    recipe = msgspec.structs.replace(RECIPE, epochs=2, schedule="cosine")
    rates = [
        figures["learning_rate"]
        for figures in fit(new_model(), data, recipe, RunFolder(folder)).history
    ]
    expected = [0.02 * (1 + math.cos(math.pi * step / 20)) / 2 for step in (9, 19)]
    assert rates == pytest.approx(expected)


def test_other_data_are_not_resumed(data: Data, new_model: NewModel, folder: Path) -> None:
    """Made splits are written down, and must be the same."""
    recipe = msgspec.structs.replace(RECIPE, epochs=1)
    parted = replace(data, members={"train": ["a"], "validation": ["b"], "test": ["c"]})
    fit(new_model(), parted, recipe, RunFolder(folder))
    assert json.loads((folder / "splits.json").read_text()) == parted.members
    other = replace(data, members={"train": ["b"], "validation": ["a"], "test": ["c"]})
    with pytest.raises(InvalidValue, match=r"the same samples are divided otherwise"):
        fit(new_model(), other, recipe, RunFolder(folder), resume=True)


def test_a_backbone_may_be_kept_as_it_is(data: Data, new_model: NewModel, folder: Path) -> None:
    """With a rate of 0, weights and statistics of the backbone stay, and the rest learns."""
    model = new_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recipe = msgspec.structs.replace(RECIPE, epochs=1, backbone_rate=0.0)
    fit(model, data, recipe, RunFolder(folder))
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def _sequences(kind: str, *, seed: int = 0) -> Data:
    """Sounds, or texts, of several lengths; their level or their words tell the class."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(4, 12, (120,), generator=generator)
    labels = torch.arange(120) % 2
    samples = []
    for length, label in zip(lengths.tolist(), labels.tolist(), strict=True):
        if kind == "text":
            samples.append(torch.randint(2, 4, (length,), generator=generator) + 2 * label)
        else:
            times = torch.arange(100 * length) * (0.3 + 0.9 * label)
            samples.append(times.sin()[None])
    source: dict[str, object] = {"kind": "audio", "sample_rate": 1000}
    tokens = ("a", "b", "c", "d") if kind == "text" else ()
    if kind == "text":
        source = {"kind": "text", "vocabulary_size": 4, "vocabulary_bytes": 7}
    split = SequenceSplit.pack(samples, labels)
    block = Spec.from_data({"input": source, "backbone": "any"}).input
    return Data(kind, ("low", "high"), block, split, split, split, vocabulary=tokens)


@pytest.mark.parametrize(
    ("kind", "backbone", "step"),
    [
        ("text", {"name": "text_cnn", "embedding_dim": 4, "maps": 4}, "word_dropout"),
        ("audio", AUDIO_CNN, "spec_augment"),
    ],
)
def test_sounds_and_texts_are_learned(
    kind: str, backbone: dict[str, object], step: str, folder: Path
) -> None:
    """In padded batches under a mask; the saved model says alone what it said in the batch."""
    data = _sequences(kind)
    torch.manual_seed(0)
    model = zoo.compose(
        complete_spec(
            {"backbone": backbone, "attention": [{"name": "se", "slot": "stage", "reduction": 2}]},
            data,
        )
    )
    if model.vocabulary is not None:
        model.vocabulary.fill(data.vocabulary)
    recipe = Recipe(epochs=4, batch_size=10, learning_rate=0.03, augment=({"name": step},))
    fitted = fit(model, data, recipe, RunFolder(folder))
    assert fitted.best["validation/top1"] > 0.9
    best = zoo.load(fitted.path)
    together = evaluate(best, data.test, batch_size=50)
    alone = evaluate(best, data.test, batch_size=1)
    assert together.accuracy == alone.accuracy == pytest.approx(fitted.best["validation/top1"])
    assert together.loss == pytest.approx(alone.loss, rel=1e-4)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"augment": ["flip"]}, "flip changes inputs of kind 'image'; text is of kind 'text'"),
        ({"augment": ["spec_augment"]}, "changes spectrograms; the model makes none"),
        ({"mixup": 0.2}, "mixup is for images"),
        ({"whiten": True}, "whiten is for images"),
        ({"channels_last": True}, "channels_last is for images"),
    ],
)
def test_recipes_of_another_kind_are_refused(
    recipe: dict[str, object], message: str, folder: Path
) -> None:
    """Before anything is written."""
    data = _sequences("text")
    backbone = {"name": "text_cnn", "embedding_dim": 2, "maps": 2}
    model = zoo.compose(complete_spec({"backbone": backbone}, data))
    with pytest.raises(InvalidValue, match=message):
        fit(model, data, Recipe.from_data(recipe), RunFolder(folder))
    assert not folder.exists()


def test_augmentations_that_images_are_too_small_for_are_refused(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """Before a folder holds what could only be resumed to the same end."""
    recipe = Recipe.from_data({"augment": ["flip", {"name": "crop", "padding": 8}]})
    with pytest.raises(InvalidValue, match="crop: padding 8 would move images of 8x8 out of"):
        fit(new_model(), data, recipe, RunFolder(folder))
    assert not folder.exists()


@pytest.mark.slow
def test_a_compiled_training_goes_as_one_that_is_not(
    data: Data, new_model: NewModel, tmp_path: Path
) -> None:
    """Up to rounding; and an uncompiled one goes on with its checkpoint."""
    recipe = msgspec.structs.replace(RECIPE, average=0.9)
    model = new_model()
    model.dropout = torch.nn.Identity()  # compiled code draws other numbers
    histories = []
    for name, compiled in (("plain", False), ("compiled", True)):
        fitted = fit(deepcopy(model), data, recipe, RunFolder(tmp_path / name), compiled=compiled)
        histories.append([figures["validation/loss"] for figures in fitted.history])
    assert histories[1] == pytest.approx(histories[0], rel=1e-3)


def test_only_training_steps_are_compiled(
    data: Data, new_model: NewModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is saved has no second set of weights."""
    calls: list[bool] = []

    def compile_(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def call(*inputs: torch.Tensor) -> torch.Tensor:
            calls.append(model.training)
            return function(*inputs)

        return call

    monkeypatch.setattr(torch, "compile", compile_)
    model = new_model()
    fit(model, data, RECIPE, RunFolder(folder), compiled=True)
    assert calls == [True] * 30
    saved = Task(model, RECIPE, 30, compiled=True).state_dict()
    assert {name.removeprefix("model.") for name in saved} == model.state_dict().keys()


def test_what_cannot_be_compiled_is_refused(folder: Path) -> None:
    """Before anything is written."""
    data = _sequences("audio")
    model = zoo.compose(complete_spec({"backbone": AUDIO_CNN}, data))
    recipe = Recipe.from_data({"augment": ["spec_augment"]})
    with pytest.raises(InvalidValue, match="Leave --compile out, or spec_augment"):
        fit(model, data, recipe, RunFolder(folder), compiled=True)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("processes", "average", "compiled", "message"),
    [
        (
            1,
            None,
            False,
            r"this is the only one\. Start them with torchrun .* or leave --shard out",
        ),
        (2, None, True, "--shard and --compile do not go together"),
        (2, 0.9, False, "average keeps a whole copy .*; leave it out, or --shard"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(
    processes: int,
    average: float | None,
    compiled: bool,
    message: str,
    data: Data,
    new_model: NewModel,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anything is written."""
    here = Processes(rank=0, size=processes, local_size=processes)
    monkeypatch.setattr(Processes, "here", lambda: here)
    recipe = msgspec.structs.replace(RECIPE, average=average)
    with pytest.raises(InvalidValue, match=message):
        fit(new_model(), data, recipe, RunFolder(folder), compiled=compiled, shared=True)
    assert not folder.exists()


def test_models_that_take_no_mask_are_refused_for_several_lengths(folder: Path) -> None:
    """With the part that cannot honour one."""
    data = _sequences("text")
    spec = {
        "backbone": {"name": "text_cnn", "embedding_dim": 8, "maps": 8},
        "attention": [{"name": "involution", "slot": "conv"}],
    }
    model = zoo.compose(complete_spec(spec, data))
    with pytest.raises(InvalidValue, match="this model takes none: involution@conv"):
        fit(model, data, Recipe(), RunFolder(folder))


def test_what_is_refused_leaves_no_folder(
    data: Data, new_model: NewModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the call can be corrected and made again."""
    monkeypatch.setattr(Processes, "here", lambda: Processes(rank=0, size=3, local_size=3))
    with pytest.raises(
        InvalidValue, match="cannot be shared evenly by 3 processes; choose a batch"
    ):
        fit(new_model(), data, RECIPE, RunFolder(folder))
    monkeypatch.setattr(Processes, "here", lambda: Processes(rank=0, size=400, local_size=400))
    with pytest.raises(InvalidValue, match="400 processes for 200 samples to train on; start no"):
        fit(new_model(), data, RECIPE, RunFolder(folder))
    assert not folder.exists()


def test_other_samples_are_noticed_though_the_splits_were_given(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """Before anything is trained on them."""

    def stop(_line: str) -> None:
        raise KeyboardInterrupt

    data = replace(data, digests={"train": "1", "validation": "2", "test": "3"})
    with pytest.raises(Interrupted):
        fit(new_model(), data, RECIPE, RunFolder(folder), report=stop)
    other = replace(data, digests={**data.digests, "train": "4"})
    with pytest.raises(InvalidValue, match="train split has samples with another content or class"):
        fit(new_model(), other, RECIPE, RunFolder(folder), resume=True)
    assert len(fit(new_model(), data, RECIPE, RunFolder(folder), resume=True).history) == 3


def test_resuming_what_has_ended_changes_no_file(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """Its figures are known by the digests of its models."""
    ended = fit(new_model(), data, RECIPE, RunFolder(folder))
    files = [folder / name for name in ("best.safetensors", "last.safetensors", "result.json")]
    before = [file.read_bytes() for file in files]
    again = fit(new_model(), data, RECIPE, RunFolder(folder), resume=True)
    assert again.history == ended.history
    assert [file.read_bytes() for file in files] == before

"""Fit a model to data by a recipe, into a folder of its own; Lightning does the loop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.utils.data import DataLoader

from zoo.errors import InvalidValue, ZooError
from zoo.spec import Spec
from zoo.train import require_lightning
from zoo.train.data.images import ImageData, ImageSplit
from zoo.train.normalization import Normalization
from zoo.train.quiet import quiet_lightning
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder

if TYPE_CHECKING:
    from zoo import Model


class Fitted(NamedTuple):
    """What a training gave.

    Attributes:
        best: Figures of the best epoch by validation accuracy.
        history: Figures of every epoch.
        path: The best model's file.
        seconds: Time that all epochs took together.
    """

    best: dict[str, float]
    history: list[dict[str, float]]
    path: Path
    seconds: float


class Interrupted(ZooError):
    """A training was stopped from the keyboard; what it had done is kept."""


def fit(
    model: Model,
    data: ImageData,
    recipe: Recipe,
    output: Path,
    *,
    run: dict[str, Any] | None = None,
    resume: bool = False,
    progress: bool = False,
    report: Callable[[str], None] | None = None,
) -> Fitted:
    """Train a model.

    Args:
        model: Its weights are where the training starts.
        data: What to train on.
        recipe: How.
        output: A folder; made if it is not there.
        run: What else to write into `run.json`, e.g. where the data came from.
        resume: Go on from the checkpoint in `output`.
        progress: Show a bar.
        report: Called with a line for people after each epoch.

    Raises:
        InvalidValue: Model, data and recipe do not fit each other, or `output` holds another run.
        Interrupted: Ctrl-C was pressed.
        MissingExtra: Lightning is not installed.
    """
    require_lightning()
    from zoo.train.callbacks import KeepBest, Progress
    from zoo.train.task import Task

    _check(model, data)
    folder = RunFolder(output)
    asked = {"spec": model.spec.to_data(), "recipe": recipe.to_data(), "data": data.name}
    folder.prepare({**(run or {}), **asked}, resume=resume)

    def keep(figures: dict[str, float]) -> None:
        folder.save_model(model, "best", data.name, recipe, figures)

    keeper = KeepBest(keep, report or (lambda _: None))
    shown = [Progress(recipe.batch_size)] if progress else []
    with quiet_lightning():
        _run(
            _trainer(recipe, folder, [keeper, *shown]),
            Task(model, recipe),
            _batches(data.train, recipe, shuffle=True),
            _batches(data.validation, recipe, shuffle=False),
            folder,
        )
    folder.save_model(model, "last", data.name, recipe, keeper.history[-1])
    seconds = round(sum(figures["seconds"] for figures in keeper.history), 1)
    folder.write_result(asked, keeper.best, keeper.history, seconds)
    return Fitted(keeper.best, keeper.history, folder.model_path("best"), seconds)


def spec_for(spec: Spec, data: ImageData) -> Spec:
    """Fill what a spec leaves to the data: mean and std of its input, classes and their labels.

    Raises:
        InvalidValue: The spec has other classes, or does not take images.
    """
    from msgspec.structs import replace

    if spec.input.kind != "image":
        raise InvalidValue(
            f"The model takes inputs of kind {spec.input.kind!r}; {data.name} has images."
        )
    source, output = spec.input, spec.output
    if source.mean is None and source.std is None:
        source = replace(source, mean=data.mean, std=data.std)
    if output.width and (
        output.width != len(data.labels) or (output.labels or data.labels) != data.labels
    ):
        raise InvalidValue(
            f"The model's classes do not fit {data.name}: {output.labels or output.width} against {data.labels}."
        )
    return replace(spec, input=source, output=replace(output, num_classes=None, labels=data.labels))


def _check(model: Model, data: ImageData) -> None:
    if model.num_classes != len(data.labels):
        raise InvalidValue(
            f"The model has {model.num_classes} classes, {data.name} has {len(data.labels)}."
        )
    if model.labels is not None and model.labels != data.labels:
        raise InvalidValue(
            f"The model's classes are {', '.join(model.labels)}; those of {data.name} are {', '.join(data.labels)}."
        )
    Normalization(model.spec.input).check(data.train.images)


def _trainer(recipe: Recipe, folder: RunFolder, callbacks: list[Any]) -> Any:
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger

    latest = ModelCheckpoint(
        dirpath=folder.path,
        filename=folder.checkpoint.stem,
        monitor=None,
        save_top_k=1,
        enable_version_counter=False,
        save_on_train_epoch_end=True,  # after validation and what we take down of it
    )
    return Trainer(
        max_epochs=recipe.epochs,
        accelerator="auto",
        devices=1,
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        logger=CSVLogger(folder.logs, name="", version=f"sitting_{folder.sittings + 1}"),
        callbacks=[*callbacks, latest],
        enable_progress_bar=any(hasattr(callback, "init_train_tqdm") for callback in callbacks),
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _batches(split: ImageSplit, recipe: Recipe, *, shuffle: bool) -> DataLoader[Any]:
    from zoo.train.task import EpochSampler

    return DataLoader(
        split,
        batch_size=min(recipe.batch_size, len(split)),
        sampler=EpochSampler(len(split), recipe.seed) if shuffle else None,
        drop_last=shuffle,
        generator=torch.Generator(),  # else it draws from the one that dropout draws from
        collate_fn=lambda batch: batch,  # the split gives whole batches
    )


def _run(trainer: Any, task: Any, train: Any, validation: Any, folder: RunFolder) -> None:
    """Let Lightning run the loop, and bring Ctrl-C out as an error of ours."""
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    checkpoint = str(folder.checkpoint) if folder.checkpoint.exists() else None
    try:
        trainer.fit(task, train, validation, ckpt_path=checkpoint, weights_only=True)
    except (KeyboardInterrupt, SystemExit):
        kept = "No epoch was complete, so that no weights are kept. Start again"
        if folder.checkpoint.exists():
            kept = f"{trainer.current_epoch} complete epochs are kept. Go on"
        raise Interrupted(f"Stopped. {kept} with: zoo train --resume {folder.path}") from None
    finally:
        if in_main:  # Lightning leaves Ctrl-C switched off
            signal.signal(signal.SIGINT, handler)

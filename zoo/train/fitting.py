"""Fit a model to data by a recipe, into a folder of its own; Lightning does the loop.

The folder holds `run.json` (what was asked), `best.safetensors` and `last.safetensors` (models),
`result.json` (figures), `logs/` (CSV) and `last.ckpt`. The last is Lightning's own checkpoint, a torch
file with optimizer and schedule. It is there to resume this run and is read by Lightning alone, with
`weights_only`, so that nothing in it is executed; models are shared as safetensors files.
"""

from __future__ import annotations

import json
import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.utils.data import DataLoader

from zoo.errors import InvalidValue, ZooError
from zoo.files import write_atomically
from zoo.spec import Spec
from zoo.train import require_lightning
from zoo.train.data.images import ImageData, ImageSplit
from zoo.train.normalization import Normalization
from zoo.train.recipe import Recipe

if TYPE_CHECKING:
    from zoo import Model

CHECKPOINT = "last.ckpt"
RUN = "run.json"

# What Lightning warns of that is on purpose here. The data lie in memory, so that workers would only copy
# them. A small data set has few batches. The folder is there on purpose. And Lightning calls parts of torch
# by their old names.
_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
)


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
    asked = {"spec": model.spec.to_data(), "recipe": recipe.to_data(), "data": data.name}
    _prepare_folder(output, {**(run or {}), **asked}, resume=resume)

    def keep(figures: dict[str, float]) -> None:
        _save(model, output / "best.safetensors", data, recipe, figures)

    keeper = KeepBest(keep, report or (lambda _: None))
    with _quiet_lightning():
        trainer = _trainer(
            recipe, output, [keeper, *([Progress(recipe.batch_size)] if progress else [])]
        )
        checkpoint = output / CHECKPOINT
        _run(
            trainer,
            Task(model, recipe),
            _batches(data.train, recipe, shuffle=True),
            _batches(data.validation, recipe, shuffle=False),
            ckpt_path=str(checkpoint) if resume and checkpoint.exists() else None,
        )
    _save(model, output / "last.safetensors", data, recipe, keeper.history[-1])
    fitted = Fitted(
        keeper.best,
        keeper.history,
        output / "best.safetensors",
        round(sum(figures["seconds"] for figures in keeper.history), 1),
    )
    _write_json(
        output / "result.json",
        {**asked, "metrics": metrics_of(fitted.best, data.name), "seconds": fitted.seconds}
        | {"best": fitted.best, "history": fitted.history},
    )
    return fitted


def metrics_of(figures: dict[str, float], data: str) -> dict[str, dict[str, float]]:
    """An epoch's validation figures, as they stand in a registry."""
    return {f"{data}/validation/top1": {"mean": round(figures["validation/top1"], 6), "seeds": 1}}


def read_run(output: Path) -> dict[str, Any]:
    """What was asked of the run in a folder.

    Raises:
        InvalidValue: There is no run in it.
    """
    try:
        run = json.loads((output / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidValue(
            f"{output} holds no run to resume: {RUN} cannot be read ({error})."
        ) from None
    if not isinstance(run, dict) or not {"spec", "recipe", "data"} <= run.keys():
        raise InvalidValue(
            f"{output / RUN} does not say spec, recipe and data; it is no run of ours."
        )
    return run


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


def _prepare_folder(output: Path, run: dict[str, Any], *, resume: bool) -> None:
    """Make the folder, or see that it holds the run to resume."""
    if resume:
        there = read_run(output)
        for what in ("spec", "recipe", "data"):
            if there[what] != json.loads(json.dumps(run[what])):
                raise InvalidValue(
                    f"{output} holds a run with another {what}; resume it as it was started, or choose another folder."
                )
        return
    if (output / RUN).exists():
        raise InvalidValue(
            f"{output} already holds a run. Resume it (--resume {output}), or choose another folder."
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidValue(f"{output} cannot be made: {error.strerror}.") from None
    _write_json(output / RUN, run)


def _trainer(recipe: Recipe, output: Path, callbacks: list[Any]) -> Any:
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger

    done = len(list((output / "logs").glob("*")))  # each sitting has a file of its own
    latest = ModelCheckpoint(
        dirpath=output,
        filename=Path(CHECKPOINT).stem,
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
        logger=CSVLogger(output / "logs", name="", version=f"sitting_{done + 1}"),
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


def _run(trainer: Any, task: Any, train: Any, validation: Any, *, ckpt_path: str | None) -> None:
    """Let Lightning run the loop, and bring Ctrl-C out as an error of ours."""
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    try:
        trainer.fit(task, train, validation, ckpt_path=ckpt_path, weights_only=True)
    except (KeyboardInterrupt, SystemExit):
        folder = trainer.checkpoint_callback.dirpath
        kept = f"{trainer.current_epoch} epochs are kept. Go on with: zoo train --resume {folder}"
        if not (Path(folder) / CHECKPOINT).exists():
            kept = "No epoch was complete, so nothing is kept but the folder."
        raise Interrupted(f"Stopped. {kept}") from None
    finally:
        if in_main:  # Lightning leaves Ctrl-C switched off
            signal.signal(signal.SIGINT, handler)


def _save(
    model: Model, path: Path, data: ImageData, recipe: Recipe, figures: dict[str, float]
) -> None:
    import lightning

    from zoo.api import save

    provenance = {
        "data": data.name,
        "epoch": int(figures["epoch"]),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "torch": torch.__version__.partition("+")[0],
        "lightning": lightning.__version__,
    }
    save(
        model,
        path,
        metrics=metrics_of(figures, data.name),
        recipe=recipe.to_data(),
        provenance=provenance,
    )


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Hold back Lightning's advertisements and what it warns of that is on purpose; leave the rest."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write_json(path: Path, data: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(data, indent=2) + "\n").encode())


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

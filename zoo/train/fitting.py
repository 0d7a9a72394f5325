"""Fit a model to data by a recipe, into a folder of its own; Lightning does the loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from zoo.train import require_lightning
from zoo.train.agreement import check_fit, check_sharing
from zoo.train.batches import EpochBatches, WholeSplit
from zoo.train.curves import draw_curves
from zoo.train.data.dataset import Data
from zoo.train.processes import Processes, of_all
from zoo.train.quiet import quiet_lightning
from zoo.train.recipe import Recipe
from zoo.train.resuming import check_resumable
from zoo.train.run_folder import RunFolder
from zoo.train.trainer import make_trainer, run_trainer, trainer_devices

if TYPE_CHECKING:
    import torch

    from zoo import Model
    from zoo.train.task import Task


class Fitted(NamedTuple):
    """What a training gave.

    Attributes:
        best: Figures of the best epoch by validation accuracy.
        history: Figures of every epoch.
        path: The best model's file.
        seconds: Time that all epochs took together.
        had_ended: Whether nothing was left to train.
    """

    best: dict[str, float]
    history: list[dict[str, float]]
    path: Path
    seconds: float
    had_ended: bool = False


def fit(
    model: Model,
    data: Data,
    recipe: Recipe,
    folder: RunFolder,
    *,
    run: dict[str, Any] | None = None,
    resume: bool = False,
    device: torch.device | None = None,
    compiled: bool = False,
    shared: bool = False,
    progress: bool = False,
    tensorboard: bool = False,
    report: Callable[[str], None] | None = None,
) -> Fitted:
    """Train a model; in one process, or in each of several that torchrun or SLURM started.

    Args:
        model: Its weights are where the training starts. It is put into training mode.
        data: What to train on.
        recipe: How.
        folder: Where to; made if it is not there.
        run: What else to write into `run.json`, e.g. where the data came from.
        resume: Go on from the checkpoint in `folder`.
        device: Where to compute; None for a GPU, if there is one. Of several processes each has one of its own.
        compiled: Train through torch.compile.
        shared: Share the model out over the processes, instead of a copy in each.
        progress: Show a bar.
        tensorboard: Write logs for TensorBoard, too.
        report: Called with a line for people after each epoch.

    Raises:
        InvalidValue: Model, data and recipe do not fit each other, `folder` holds another run, or Lightning cannot train
            on the device.
        Interrupted: Ctrl-C was pressed, or SIGTERM came.
        MissingExtra: Lightning is not installed.
    """
    require_lightning()
    from zoo.train.averaging import MovingAverage
    from zoo.train.callbacks import KeepBest, Progress
    from zoo.train.epoch_state import EpochState
    from zoo.train.interruption import Interruption
    from zoo.train.loading import ResumableBatches, WholeBatches
    from zoo.train.same_everywhere import SameEverywhere

    check_fit(model, data, recipe, compiled=compiled)
    processes = Processes.here()
    if shared:
        check_sharing(recipe, processes, compiled=compiled)
    devices = trainer_devices(device, processes, shared=shared)
    train = EpochBatches(data.train, recipe.batch_size, seed=recipe.seed, processes=processes)
    validation = WholeSplit(data.validation, recipe.batch_size, processes=processes)
    task = _task(
        model.train(), recipe, recipe.epochs * len(train), compiled=compiled, shared=shared
    )
    average = None if recipe.average is None else MovingAverage(model, recipe.average)

    report = report or (lambda _: None)
    # Behind all that may be refused, so that nothing is left of what was.
    with folder.reserved(resume=resume) if processes.first else nullcontext():
        if processes.first and resume:
            check_resumable(folder, model.spec, recipe, data)
        elif processes.first:
            asked = {"spec": model.spec.to_data(), "recipe": recipe.to_data(), "data": data.name}
            about = {**(run or {}), "processes": processes.size}
            folder.prepare({**about, **asked}, data.members, data.digests)
        started = folder.read() if processes.first else {}

        def save(which: Literal["best", "last"], figures: dict[str, float]) -> None:
            with nullcontext() if average is None else average.in_place():
                whole = task.whole()
                if processes.first:
                    folder.save_model(whole, which, started, figures)

        keeper = KeepBest(partial(save, "best"), folder.write_history, report, compiled=compiled)
        interruption = Interruption(folder.checkpoint, report)
        others: list[Any] = [SameEverywhere(_given(model, data, recipe))]
        if progress:
            others.append(Progress(train.batch_size))
        if average is not None:
            others.append(average)
        others += [EpochState(), interruption]
        ended = resume and folder.ended
        with quiet_lightning(), interruption.listening():
            run_trainer(
                make_trainer(
                    recipe,
                    folder,
                    [keeper, *others],
                    devices,
                    progress=progress,
                    tensorboard=tensorboard,
                ),
                task,
                ResumableBatches(data.train, train),
                WholeBatches(data.validation, validation),
                folder,
                resume=resume,
                go_on=processes.command(f"{folder.resume_command}{' --shard' if shared else ''}"),
            )
        seconds = round(sum(figures["seconds"] for figures in keeper.history), 1)
        had_ended = of_all(ended)[0]
        if not had_ended:
            save("last", keeper.history[-1])
            if processes.first:
                folder.write_result(started, keeper.best, keeper.history, seconds)
                draw_curves(
                    keeper.history,
                    folder.curves,
                    title=f"{folder.path.name}: {data.name}",
                    best_epoch=int(keeper.best["epoch"]),
                )
        of_all(None)  # a process that left while the first one writes would be the end of that, too
    return Fitted(keeper.best, keeper.history, folder.model_path("best"), seconds, had_ended)


def _given(model: Model, data: Data, recipe: Recipe) -> dict[str, Any]:
    return {
        "data set": (data.labels, len(data.train), len(data.validation), data.digests),
        "model": model.spec.to_data(),
        "recipe": recipe.to_data(),
    }


def _task(model: Model, recipe: Recipe, steps: int, *, compiled: bool, shared: bool) -> Task:
    from zoo.train.task import Task

    if not shared:
        return Task(model, recipe, steps, compiled=compiled)
    from zoo.train.sharding import SharedTask  # which takes long to import

    return SharedTask(model, recipe, steps)

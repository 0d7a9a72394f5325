"""Fit a model to data by a recipe, into a folder of its own; Lightning does the loop."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from zoo.errors import InvalidValue, ZooError, counted, first_line
from zoo.spec import ImageInput, Spec
from zoo.train import require_lightning
from zoo.train.batches import EpochBatches, WholeSplit
from zoo.train.curves import draw_curves
from zoo.train.data.dataset import Data
from zoo.train.data.splits import ImageSplit
from zoo.train.normalization import Normalization
from zoo.train.processes import Processes, of_all
from zoo.train.quiet import quiet_lightning
from zoo.train.recipe import Recipe
from zoo.train.resuming import check_resumable
from zoo.train.run_folder import RunFolder

if TYPE_CHECKING:
    from zoo import Model
    from zoo.train.task import Task

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


class Interrupted(ZooError):
    """A training was stopped by Ctrl-C or a scheduler; the message says what is kept.

    Args:
        message: For people.
        number: Of the signal that stopped it.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number


def fit(
    model: Model,
    data: Data,
    recipe: Recipe,
    folder: RunFolder,
    *,
    run: dict[str, Any] | None = None,
    resume: bool = False,
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
        compiled: Train through torch.compile.
        shared: Share the model out over the processes, instead of a copy in each.
        progress: Show a bar.
        tensorboard: Write logs for TensorBoard, too.
        report: Called with a line for people after each epoch.

    Raises:
        InvalidValue: Model, data and recipe do not fit each other, or `folder` holds another run.
        Interrupted: Ctrl-C was pressed, or SIGTERM came.
        MissingExtra: Lightning is not installed.
    """
    require_lightning()
    from zoo.train.averaging import MovingAverage
    from zoo.train.callbacks import KeepBest, Progress
    from zoo.train.epoch_state import EpochState
    from zoo.train.interruption import Interruption
    from zoo.train.loading import ResumableBatches, WholeBatches

    check_fit(model, data, recipe, compiled=compiled)
    processes = Processes.here()
    if shared:
        _check_sharing(recipe, processes, compiled=compiled)
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
        others: list[Any] = [Progress(train.batch_size)] if progress else []
        if average is not None:
            others.append(average)
        others += [EpochState(), interruption]
        ended = resume and folder.ended
        with quiet_lightning(), interruption.listening():
            _run(
                _trainer(
                    recipe,
                    folder,
                    [keeper, *others],
                    processes.trainer_options(shared=shared),
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


def complete_spec(spec: Mapping[str, Any], data: Data, *, where: str = "spec") -> Spec:
    """Fill what a spec leaves to the data: its input, and its classes with their labels.

    Args:
        spec: Plain data of a spec; the input block may be missing.
        data: Was opened with what the spec says of the input.
        where: Where the spec came from, for messages.

    Raises:
        InvalidValue: The spec has other classes.
    """
    from msgspec import to_builtins
    from msgspec.structs import replace

    filled = Spec.from_data({**spec, "input": to_builtins(data.source)}, where=where)
    output = filled.output
    if output.width and (
        output.width != len(data.labels) or (output.labels or data.labels) != data.labels
    ):
        raise InvalidValue(
            f"The model's classes do not fit {data.name}: {output.labels or output.width} against {data.labels}. Leave "
            "the output out of the spec, so that they follow from the data."
        )
    return replace(filled, output=replace(output, num_classes=None, labels=data.labels))


def check_fit(model: Model, data: Data, recipe: Recipe, *, compiled: bool = False) -> None:
    """See that model, data and recipe fit each other, and can be trained compiled, if asked for.

    Raises:
        InvalidValue: They do not; the message says why.
    """
    if model.num_classes != len(data.labels):
        raise InvalidValue(
            f"The model has {model.num_classes} classes, {data.name} has {len(data.labels)}."
        )
    if model.labels is not None and model.labels != data.labels:
        raise InvalidValue(
            f"The model's classes are {', '.join(model.labels)}; those of {data.name} are {', '.join(data.labels)}. Open "
            "the data with the classes of the model."
        )
    if isinstance(model.spec.input, ImageInput) and isinstance(data.train, ImageSplit):
        Normalization(model.spec.input).check(data.train.images)
    elif model.spec.input.kind != data.source.kind:
        raise InvalidValue(
            f"The model takes inputs of kind {model.spec.input.kind!r}; {data.name} is of kind {data.source.kind!r}."
        )
    several = [
        lengths
        for lengths in (data.train.lengths, data.validation.lengths)
        if lengths is not None and lengths.min() != lengths.max()
    ]
    if model.mask_refusals and several:
        raise InvalidValue(
            f"{data.name} has samples of several lengths, which need a mask in a batch, and this model takes none: "
            f"{', '.join(model.mask_refusals)} cannot honour one."
        )
    _check_recipe(model, data, recipe, compiled=compiled)


def _check_recipe(model: Model, data: Data, recipe: Recipe, *, compiled: bool) -> None:
    import torch

    from zoo.train.augmentation import kind_changed_by, make_augmentation
    from zoo.train.task import find_spectrogram

    kind = data.source.kind
    for step in recipe.augment:
        place = kind_changed_by(step)
        if place == "spectrogram":
            find_spectrogram(model)
            if compiled:
                raise InvalidValue(
                    "The recipe's spec_augment draws inside of the model, where compiled code does not let it. Leave "
                    "--compile out, or spec_augment."
                )
        elif place != kind:
            raise InvalidValue(
                f"The recipe's {step['name']} changes inputs of kind {place!r}; {data.name} is of kind {kind!r}."
            )
        elif isinstance(data.train, ImageSplit):  # which may be too small for it
            make_augmentation(step)(data.train.images[:1], torch.Generator())
    for option in ("mixup", "whiten", "channels_last"):
        if getattr(recipe, option) and kind != "image":
            raise InvalidValue(
                f"The recipe's {option} is for images; {data.name} is of kind {kind!r}."
            )


def _check_sharing(recipe: Recipe, processes: Processes, *, compiled: bool) -> None:
    """See that a model can be shared out.

    Raises:
        InvalidValue: It cannot; the message says why.
    """
    if processes.size == 1:
        raise InvalidValue(
            "A model is shared out over several processes, and this is the only one. Start them with torchrun "
            "--nproc-per-node N -m zoo train, or leave --shard out."
        )
    if compiled:
        raise InvalidValue("--shard and --compile do not go together; leave one of them out.")
    if recipe.average is not None:
        raise InvalidValue(
            "The recipe's average keeps a whole copy of the weights in each process; leave it out, or --shard."
        )


def _task(model: Model, recipe: Recipe, steps: int, *, compiled: bool, shared: bool) -> Task:
    from zoo.train.task import Task

    if not shared:
        return Task(model, recipe, steps, compiled=compiled)
    from zoo.train.sharding import SharedTask  # which takes long to import

    return SharedTask(model, recipe, steps)


def _trainer(
    recipe: Recipe,
    folder: RunFolder,
    callbacks: list[Any],
    devices: dict[str, Any],
    *,
    progress: bool,
    tensorboard: bool,
) -> Any:
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    from zoo.train.checkpoints import WholeCheckpoints

    latest = ModelCheckpoint(
        dirpath=folder.path,
        filename=folder.checkpoint.stem,
        monitor=None,
        save_top_k=1,
        enable_version_counter=False,
        save_on_train_epoch_end=True,  # after validation and what we take down of it
    )
    sitting = f"sitting_{folder.sittings + 1}"
    loggers: list[Any] = [CSVLogger(folder.logs, name="", version=sitting)]
    if tensorboard:
        loggers.append(TensorBoardLogger(folder.logs, name="", version=sitting))
    return Trainer(
        max_epochs=recipe.epochs,
        accelerator="auto",
        **devices,
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        gradient_clip_val=recipe.gradient_clip,
        logger=loggers,
        callbacks=[*callbacks, latest],
        plugins=[WholeCheckpoints()],
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _run(
    trainer: Any,
    task: Any,
    train: Any,
    validation: Any,
    folder: RunFolder,
    *,
    resume: bool,
    go_on: str,
) -> None:
    """Let Lightning run the loop; where it does not come to its end, say what is kept, and the command to go on."""
    from torch import OutOfMemoryError

    from zoo.train.interruption import Stopped
    from zoo.train.task import NotFinite

    checkpoint = str(folder.checkpoint) if resume and folder.checkpoint.exists() else None
    try:
        trainer.fit(task, train, validation, ckpt_path=checkpoint, weights_only=True)
    except Stopped as stop:
        raise Interrupted(
            f"Stopped {stop}. All of it is kept. Go on with: {go_on}", stop.number
        ) from None
    except (KeyboardInterrupt, SystemExit):
        kept = "Nothing was trained yet. Start again as before."
        if folder.checkpoint.exists():
            kept = (
                f"{counted(trainer.current_epoch, 'complete epoch')} {_are(trainer)} kept. "
                f"Go on with: {go_on}"
            )
        raise Interrupted(f"Stopped at once. {kept}") from None
    except (MemoryError, OutOfMemoryError) as error:
        raise ZooError(
            f"There is not enough memory ({first_line(error):.160}). What was saved before is whole. Free some, or start "
            f"another run with a smaller --batch-size; this one goes on with: {go_on}"
        ) from error
    except (InvalidValue, OSError) as error:
        failed = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(failed, OSError):
            raise
        if not folder.path.is_dir():
            raise ZooError(
                f"{folder.path} is gone, deleted or moved while it was trained into; what it held is all there is of "
                "this run."
            ) from error
        mend = "Make room" if failed.errno in _NO_ROOM else "Mend that"
        raise ZooError(
            f"{first_line(error)} What was saved before is whole. {mend}, and go on with: {go_on}"
        ) from error
    except NotFinite as error:
        kept = "No epoch was complete, so that no weights are kept."
        if trainer.current_epoch:
            before = counted(trainer.current_epoch, "epoch")
            kept = f"The {before} before {_are(trainer)} kept in {folder.path}."
        raise NotFinite(
            f"{error} Training stops. {kept} Try a lower learning rate, gradient_clip, or precision '32'."
        ) from None


def _are(trainer: Any) -> str:
    """The verb to the epochs that are complete."""
    return "is" if trainer.current_epoch == 1 else "are"

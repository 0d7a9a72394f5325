"""What `zoo train` does whether it begins or goes on: prepare, compose the model, fit it, and say how it went."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo.cli import STOPPED
from zoo.errors import counted

if TYPE_CHECKING:
    import torch

    from zoo.composition.model import Model
    from zoo.train.data.dataset import Data
    from zoo.train.fitting import Fitted
    from zoo.train.recipe import Recipe
    from zoo.train.run_folder import RunFolder

OVERRIDES = ("epochs", "batch_size", "learning_rate", "precision", "seed")


def overrides(args: Namespace) -> dict[str, Any]:
    """Fields of a recipe that the arguments say."""
    return {name: getattr(args, name) for name in OVERRIDES if getattr(args, name) is not None}


def prepare(args: Namespace) -> torch.device | None:
    """Import what trains, which takes seconds: mistakes in what was asked are found before.

    Returns:
        The device that was asked for, if any.
    """
    from zoo.train import require_lightning
    from zoo.train.processes import Processes
    from zoo.train.processor import prepare_processor

    require_lightning()
    prepare_processor(args.threads)
    device = _device(args)
    if args.compile and Processes.here().first:  # the others would try it on its GPU
        import torch

        from zoo.cli.compiler import check_compiler

        usual = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        check_compiler(device or usual)
    return device


def _device(args: Namespace) -> torch.device | None:
    from zoo.cli.machine import open_device
    from zoo.train.processes import Processes
    from zoo.train.trainer import trainer_devices

    if args.device is None:
        return None
    processes = Processes.here()
    # Several would all take memory of the first device, beside that of their own.
    device = open_device(args.device, compute=processes.size == 1)
    trainer_devices(device, processes)
    return device


def initial_model(spec: Any, data: Data, recipe: Recipe) -> Model:
    """Build the model as the recipe begins: weights drawn with its seed, first filters set."""
    import torch

    from zoo.api import compose
    from zoo.train.data.splits import ImageSplit
    from zoo.train.whitening import whiten

    torch.manual_seed(recipe.seed)
    model = compose(spec)
    if model.vocabulary is not None:
        model.vocabulary.fill(data.vocabulary)
    if recipe.whiten and isinstance(data.train, ImageSplit):
        whiten(model, data.train.images)
    return model


def fit_run(
    model: Model,
    data: Data,
    recipe: Recipe,
    folder: RunFolder,
    args: Namespace,
    *,
    device: torch.device | None,
    about: dict[str, Any] | None,
    measure: str | None,
    notes: Sequence[str] = (),
) -> tuple[int, Fitted | None]:
    """Train.

    Args:
        model: What is trained.
        data: On what.
        recipe: How.
        folder: Where the run is kept.
        args: Of the command.
        device: Where to train, as `prepare` gave it.
        about: What to note of a new run; None goes on with the one that is there.
        measure: The command that measures the model, to be said at the end; None where it is not.
        notes: What a user should know of it, beside what there is to say of the data.

    Returns:
        The exit code, and in the first process what came of it.
    """
    from zoo.train.batches import EpochBatches
    from zoo.train.callbacks import best_line, write_line
    from zoo.train.fitting import fit
    from zoo.train.processes import Processes
    from zoo.train.trainer import Interrupted

    processes = Processes.here()

    def say(text: str) -> None:
        if processes.first:
            write_line(text)

    for note in (*data.notes, *notes):
        say(f"note: {note}")
    count = sum(parameter.numel() for parameter in model.parameters())
    batches = EpochBatches(data.train, recipe.batch_size, seed=recipe.seed, processes=processes)
    shared = f", each shared by {processes.size} processes" if processes.size > 1 else ""
    say(
        f"{counted(count, 'parameter')}; {counted(len(data.train), 'sample')} to train on, {len(data.validation):,} to validate; "
        f"{counted(len(batches), 'batch', 'batches')} of {batches.batch_size} an epoch{shared}."
    )
    try:
        fitted = fit(
            model,
            data,
            recipe,
            folder,
            run=about,
            resume=about is None,
            device=device,
            compiled=args.compile,
            shared=args.shard,
            progress=sys.stdout is not None and sys.stdout.isatty(),
            tensorboard=args.tensorboard,
            report=say,
        )
    except Interrupted as error:
        say(str(error))
        return STOPPED + error.number, None
    best = best_line(fitted.best, fitted.path)
    if fitted.had_ended:
        epochs = counted(recipe.epochs, "epoch")
        say(f"The run has ended before, after {epochs}; nothing was trained now. {best}.")
    else:
        say(f"{best}; {fitted.seconds:.0f} s.")
    if measure is not None:
        say(f"Measure it on the test split: {measure}")
    return 0, fitted if processes.first else None

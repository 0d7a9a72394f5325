"""What `zoo train` does whether it begins or goes on: prepare, compose the model, fit it, and say how it went."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cli import INTERRUPTED
from zoo.cli.data_arguments import data_words
from zoo.errors import counted

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.train.data.dataset import Data
    from zoo.train.fitting import Fitted
    from zoo.train.recipe import Recipe

OVERRIDES = ("epochs", "batch_size", "learning_rate", "precision", "seed")


def overrides(args: Namespace) -> dict[str, Any]:
    """Fields of a recipe that the arguments say."""
    return {name: getattr(args, name) for name in OVERRIDES if getattr(args, name) is not None}


def prepare(args: Namespace) -> None:
    """Import what trains, which takes seconds: mistakes in what was asked are found before."""
    from zoo.cli.processor import prepare_processor
    from zoo.train import require_lightning

    require_lightning()
    prepare_processor(args.threads)
    if args.compile:
        import torch

        from zoo.cli.compiler import check_compiler

        check_compiler(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


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
    output: Path,
    args: Namespace,
    *,
    about: dict[str, Any] | None,
    notes: Sequence[str] = (),
) -> tuple[int, Fitted | None]:
    """Train, `about` being noted of a new run; None goes on with the one that is there.

    Returns:
        The exit code, and in the first process what came of it.
    """
    from zoo.cli.terminal import printable
    from zoo.train.callbacks import best_line, write_line
    from zoo.train.fitting import Interrupted, fit
    from zoo.train.processes import Processes

    first = Processes.here().first

    def say(text: str) -> None:
        if first:
            write_line(text)

    for note in (*data.notes, *notes):
        say(printable(f"note: {note}"))
    count = sum(parameter.numel() for parameter in model.parameters())
    batches = steps_of(len(data.train), recipe.batch_size)
    size = min(recipe.batch_size, len(data.train))
    say(
        f"{count:,} parameters; {counted(len(data.train), 'sample')} to train on, {len(data.validation):,} to validate; "
        f"{counted(batches, 'batch', 'batches')} of {size} an epoch."
    )
    try:
        fitted = fit(
            model,
            data,
            recipe,
            output,
            run=about,
            resume=about is None,
            compiled=args.compile,
            progress=sys.stdout.isatty(),
            tensorboard=args.tensorboard,
            report=say,
        )
    except Interrupted as error:
        say(str(error))
        return INTERRUPTED, None
    say(f"{best_line(fitted.best, fitted.path)}; {fitted.seconds:.0f} s.")
    # A repeated training is measured at once, one of a plan with the others.
    if not args.reproduce and args.plan is None:
        say(printable(f"Measure it on the test split: {_evaluation(output, args)}"))
    return 0, fitted if first else None


def steps_of(samples: int, batch_size: int) -> int:
    """Steps of an epoch: whole batches; what is left over waits for another epoch."""
    return max(1, samples // batch_size)


def _evaluation(output: Path, args: Namespace) -> str:
    """The command that measures a run on the data that it was trained on."""
    from shlex import join

    where = str(output) if {"/", "."} & set(str(output)) else f"./{output}"
    return join(["zoo", "evaluate", where, *data_words(args)])

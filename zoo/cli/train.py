"""`zoo train`: train a variant, or a spec of one's own, by its recipe."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from zoo.cli.arguments import add_threads
from zoo.cli.data_arguments import add_data_arguments
from zoo.errors import InvalidValue


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what",
        nargs="?",
        help="a ref, a YAML file with the blocks 'spec' and 'recipe', or a spec in the short form",
    )
    add_data_arguments(parser)
    parser.add_argument("--output", help="folder for the run (default: runs/<name>)")
    parser.add_argument(
        "--start-from", metavar="FILE", help="begin with the weights of this file, of the same spec"
    )
    parser.add_argument(
        "--finetune",
        action="store_true",
        help="begin with pretrained weights: those of the version, or of the backbone with attentions that "
        "change nothing at first",
    )
    parser.add_argument(
        "--reproduce",
        action="store_true",
        help="train with the version's recipe as it is, and compare the figures",
    )
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    parser.add_argument(
        "--plan",
        metavar="FILE",
        help="train what this YAML file plans and nobody has trained yet, each in a folder below --output; started "
        "several times, once a core with --threads 1, they share the work",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="ROW", help="of a plan, the trainings of these rows"
    )
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--learning-rate", type=float, help="instead of the recipe's")
    parser.add_argument("--precision", choices=("32", "bf16"), help="instead of the recipe's")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    add_threads(parser)
    parser.add_argument(
        "--device",
        help="e.g. cpu, cuda, cuda:1, mps (default: a GPU if there is one, else the CPU; of several processes each has "
        "one of its own)",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="train through torch.compile: a minute or so to begin with, less time an epoch",
    )
    parser.add_argument(
        "--shard",
        action="store_true",
        help="in several processes: share weights, gradients and the optimizer's state out over them (FSDP), instead "
        "of a copy in each",
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write logs for TensorBoard beside the CSV"
    )


def run(args: Namespace) -> int:
    """Run the command."""
    code = _train(args)
    _leave_if_one_of_several(code)
    return code


def _leave_if_one_of_several(code: int) -> None:
    """End this process at once, if it trains with others: gloo's threads may abort it on Python's own way out."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _train(args: Namespace) -> int:
    if args.resume is not None:
        for name in ("output", "start_from", "finetune", "reproduce", "plan", "only"):
            if getattr(args, name):
                raise InvalidValue(
                    f"--resume goes on with a run as it was started; leave --{name.replace('_', '-')} out."
                )
        from zoo.cli.resuming import resume
        from zoo.train.run_folder import RunFolder

        return resume(args, RunFolder(Path(args.resume)))
    if args.plan is not None:
        from zoo.cli.planned import train_planned

        return train_planned(args)
    if args.only is not None:
        raise InvalidValue("--only names rows of a plan; give the plan with --plan.")
    for name in ("what", "data"):
        if getattr(args, name) is None:
            raise InvalidValue(
                f"zoo train needs {'WHAT' if name == 'what' else f'--{name}'} (or --resume DIR)."
            )
    from zoo.cli.beginning import begin
    from zoo.cli.opening import subject_of

    return begin(args, subject_of(args.what))

"""`zoo train --plan`: train what is missing of a plan, one training after the other.

Any number of processes may do so at once in the same folder: each takes what no other has.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from shlex import join, quote
from typing import TYPE_CHECKING

from zoo.cli.beginning import begin
from zoo.cli.data_arguments import data_words
from zoo.cli.resuming import resume
from zoo.cli.terminal import complain
from zoo.cli.training import OVERRIDES
from zoo.errors import InvalidValue, UnknownName, near_misses, some
from zoo.train.data.request import PLANNED, USUAL

if TYPE_CHECKING:
    from zoo.train.plan import Plan, Training
    from zoo.train.run_folder import RunFolder


def train_planned(args: Namespace) -> int:
    """Train, or go on with, whatever has not ended.

    Returns:
        The exit code: that of the first training that was stopped.

    Raises:
        InvalidValue: The plan has an error, an option does not go with it, or a folder holds another training than
            the plan has; or at the end, trainings diverged.
        UnknownName: The plan has no such row.
    """
    from zoo.train import require_lightning
    from zoo.train.plan import read_plan
    from zoo.train.run_folder import RunFolder, Taken

    _check_words(args)
    plan = read_plan(Path(args.plan))
    _check_conditions(args, plan)
    args = Namespace(**{**vars(args), **plan.conditions})
    trainings = _chosen(plan, args.only)
    if args.data is None:
        raise InvalidValue(f"The plan is for {plan.data}; say where they are: --data (and --root).")
    require_lightning()
    from zoo.train.callbacks import write_line
    from zoo.train.processes import Processes
    from zoo.train.task import NotFinite

    if Processes.here().size > 1:
        raise InvalidValue(
            "A plan's trainings are of one process each; start the command several times instead, once a core with "
            "--threads 1."
        )
    output = Path(args.output or Path("runs") / Path(args.plan).stem)
    elsewhere, diverged = list[RunFolder](), list[str]()
    for number, training in enumerate(trainings, 1):
        folder = RunFolder(output / training.folder)
        if _has_ended(folder, training, plan):
            continue
        title = f"{training.folder} ({number} of {len(trainings)})"
        try:
            with folder.reserved(resume=False):
                if _has_ended(folder, training, plan):  # by another process, a moment ago
                    continue
                write_line(title)
                begun = folder.is_run and folder.has_begun
                code = (
                    resume(args, folder) if begun else begin(args, plan.subject(training), folder)
                )
        except Taken:
            write_line(f"{title}: another process trains it.")
            elsewhere.append(folder)
            continue
        except NotFinite as error:  # of this training; the others are still to be had
            complain("error", f"{title}: {error}")
            diverged.append(training.folder)
            continue
        if code:
            return code
    going = [folder.path.name for folder in elsewhere if not folder.ended]
    rest = f", but for {', '.join(going)}, which other processes train" if going else ""
    words = join(["--plan", args.plan, *data_words(vars(args))])
    if diverged:
        raise InvalidValue(
            f"The losses of {some(diverged)} became no numbers; all else has ended{rest}. Compare: zoo compare "
            f"{quote(str(output))}/* {words}"
        )
    write_line(f"All has ended{rest}. Compare: zoo compare {quote(str(output))}/* {words}")
    return 0


def _check_words(args: Namespace) -> None:
    for name in ("what", "start_from", "finetune", "reproduce", *OVERRIDES):
        value = getattr(args, name)
        if value is not None and value is not False:
            said = value if name == "what" else f"--{name.replace('_', '-')}"
            raise InvalidValue(f"--plan says what is trained, and how; leave {said} out.")


def _check_conditions(args: Namespace, plan: Plan) -> None:
    """See that the options ask for what the plan says, so that whoever reads it knows how all was trained."""
    for name in PLANNED:
        asked, planned = getattr(args, name), plan.conditions.get(name, USUAL[name])
        if asked not in (None, planned):
            raise InvalidValue(
                f"--{name.replace('_', '-')} is {asked}, but {args.plan} is for {name}: {planned}. Write "
                f"'{name}: {asked}' into the plan, or leave the option out."
            )


def _chosen(plan: Plan, rows: Sequence[str] | None) -> list[Training]:
    for row in rows or ():
        if row not in plan.titles:
            raise UnknownName(f"The plan has no row {row!r}. {near_misses(row, plan.titles)}")
    return [one for one in plan.trainings if rows is None or one.title in rows]


def _has_ended(folder: RunFolder, training: Training, plan: Plan) -> bool:
    """Whether nothing of a training is left to do.

    Raises:
        InvalidValue: The folder holds another one.
    """
    from zoo.train.comparison.runs import asked_run

    if folder.is_run and plan.training_of(asked_run(folder.path)) != training:
        raise InvalidValue(
            f"{folder.path} holds another training than the plan has under this name; it was trained by an earlier plan "
            "perhaps. Choose another --output, or delete it."
        )
    return folder.ended

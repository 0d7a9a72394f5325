"""`zoo evaluate`: measure a model on data with known classes."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli.arguments import add_device, add_threads
from zoo.cli.data_arguments import add_data_arguments, data_request, data_words
from zoo.cli.machine import open_device
from zoo.cli.opening import file_of, open_file, open_model, provenance, published_figures
from zoo.cli.terminal import complain, say, say_json
from zoo.cli.unseen import tell_of_seen, trained, unseen_request
from zoo.errors import InvalidValue, UnknownName, counted, near_misses, percent

if TYPE_CHECKING:
    from zoo import Model
    from zoo.train.data.dataset import Data
    from zoo.train.evaluation import Score
    from zoo.train.run_folder import RunFolder

TOLERANCE = 0.001  # of an accuracy: other machines round otherwise, and a few samples change sides
_SPLITS = ("test", "validation", "all")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what",
        help="a ref, a file that zoo.save wrote, or the folder of a run, whose data need not be said again",
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--split",
        choices=_SPLITS,
        default="test",
        help="all is every sample, for data that the model was not trained on (default: test)",
    )
    add_threads(parser)
    add_device(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare with what was published; exit code 1 if it differs by more than 0.1 points",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.train.data.for_model import data_for
    from zoo.train.data.listing import SPLITS
    from zoo.train.evaluation import evaluate, together
    from zoo.train.processor import prepare_processor

    prepare_processor(args.threads)
    device = open_device(args.device)
    before = trained(args.what, provenance(args.what))
    args = _with_data(args)
    model, digest = _opened(args.what)
    request, whole = data_request(args), args.split == "all"
    if whole:
        tell_of_seen(request, before)
    else:
        request = unseen_request(args, before)
    data = data_for(model, request, what=args.what, divided=not whole)
    for note in data.notes:
        complain("note", note)
    name = f"{data.name}/{args.split}"
    published = None
    if args.check:
        _check_samples(args.what, data, args.split)
        published = _published(args.what, data.name, args.split)
    splits = [split for split in SPLITS if len(data.split(split))] if whole else [args.split]
    model.to(device)
    score = together([evaluate(model, data.split(split)) for split in splits])
    holds = published is None or round(abs(score.accuracy - published), 6) <= TOLERANCE
    if args.json:
        figures = {f"{name}/top1": score.accuracy, f"{name}/loss": score.loss}
        checked = {} if published is None else {"published": published, "holds": holds}
        say_json({**figures, "samples": score.samples, **checked})
    else:
        say(
            f"{name}  accuracy {percent(score.accuracy)}  loss {score.loss:.4f}  ({counted(score.samples, 'sample')})"
        )
        if published is not None:
            say(f"published {percent(published)}: {'it holds' if holds else 'it does NOT hold'}.")
    if not whole:
        _keep(args.what, digest, data, args.split, score)
    return 0 if holds else 1


def _with_data(args: Namespace) -> Namespace:
    """The arguments, with the data of a run where they name none.

    Raises:
        InvalidValue: Nor does the run, or it has lost them.
    """
    from zoo.cli.noted_data import noted_request, with_noted_data

    folder = _run_folder(args.what)
    if folder is None and args.data is None:
        raise InvalidValue(
            f"Say on which data to measure {args.what}: --data (and --root). Only the folder of a run names its own."
        )
    if folder is None:
        return args
    try:
        noted = noted_request(folder)
    except InvalidValue as error:
        if args.data is not None:
            return args
        raise InvalidValue(f"{error} Say on which to measure it: --data (and --root).") from None
    columns = data_words({"text": noted.text, "label": noted.label})
    command = shlex.join(["zoo", "evaluate", args.what, *columns])
    found = with_noted_data(args, noted, folder, command)
    if data_words(vars(found)) != data_words(vars(args)):
        taken = shlex.join(data_words(vars(found)))
        complain("note", f"the data are taken as for the training of {args.what}: {taken}")
    return found


def _run_folder(what: str) -> RunFolder | None:
    """The run whose folder was named; None for anything else."""
    from zoo.train.run_folder import RunFolder

    folder = RunFolder(Path(what))
    return folder if file_of(what) == folder.model_path("best") else None


def _opened(what: str) -> tuple[Model, str]:
    """The model; and of a run's best the digest of its file, for which its figures hold."""
    folder = _run_folder(what)
    if folder is None:
        return open_model(what), ""
    file = open_file(folder.model_path("best"))
    return file.model, file.digest


def _keep(what: str, digest: str, data: Data, split: str, score: Score) -> None:
    """Write a figure of a run's best model down in its folder, as `zoo compare` does."""
    from zoo.train.run_folder import RunFolder

    run = RunFolder(Path(what))
    if not digest or run.read()["data"] != data.name:
        return
    if not run.knows(split, data.digests[split]):
        complain(
            "note",
            f"not written down in {what}: when it was trained, the {split} split of {data.name} had other samples.",
        )
    else:
        run.keep_evaluation(digest, {f"{split}/top1": score.accuracy, f"{split}/loss": score.loss})


def _check_samples(what: str, data: Data, split: str) -> None:
    """See that the samples are those of the training, on which the figure was measured; as far as that was noted.

    Raises:
        InvalidValue: They are others.
    """
    said = provenance(what)
    digests = said.get("digests")
    if said.get("data") != data.name or not isinstance(digests, Mapping):
        return
    if digests.get(split) != data.digests.get(split, digests.get(split)):
        raise InvalidValue(
            f"The {split} split of {data.name} has other samples than when {what} was trained, so that its figure for "
            "them cannot be checked. Leave --check out to measure it on these."
        )


def _published(what: str, data: str, split: str) -> float:
    """The accuracy that was published for these very weights."""
    figures, name = published_figures(what), f"{data}/{split}/top1"
    others = [other for other in _SPLITS if f"{data}/{other}/top1" in figures]
    if name not in figures and others:
        raise UnknownName(
            f"{what} has no published figure for {split} of {data}. It has one for {' and '.join(others)}; "
            f"check that with --split {others[0]}."
        )
    if name not in figures:
        raise UnknownName(f"{what} has no published {name}. {near_misses(name, figures)}")
    figure = figures[name]
    value: float | None = figure.get("value")
    if value is None and figure.get("seeds", 1) > 1:
        raise InvalidValue(
            f"{what}: {name} is a mean over {figure['seeds']} trainings; what these weights reach was not published."
        )
    return figure["mean"] if value is None else value

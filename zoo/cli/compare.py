"""`zoo compare`: runs over seeds, or models on data, side by side, with what is noise."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cli.arguments import add_device, add_threads
from zoo.cli.compare_rows import Line, Table
from zoo.cli.data_arguments import add_data_arguments
from zoo.cli.machine import open_device
from zoo.cli.terminal import complain, say, say_json, width
from zoo.errors import InvalidValue, UnknownName, near_misses

if TYPE_CHECKING:
    import torch

    from zoo.train.comparison.judging import Verdict
    from zoo.train.comparison.rows import Row


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what", nargs="+", help="folders of runs; or refs and files, which need --data"
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--model",
        choices=("best", "last"),
        default="last",
        help="of a run: the best epoch by validation, or the last (default: last, for which nothing was chosen)",
    )
    parser.add_argument(
        "--split",
        choices=("test", "validation"),
        help="which figures to compare (default: test where the data are given or every run has it)",
    )
    parser.add_argument(
        "--against", metavar="ROW", help="the row to compare with (default: the first)"
    )
    parser.add_argument(
        "--plan", metavar="FILE", help="YAML of what was to be trained: names what is missing"
    )
    parser.add_argument(
        "--latency", action="store_true", help="measure how long one sample takes on this machine"
    )
    add_threads(parser)
    add_device(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="for a page")
    form.add_argument("--json", action="store_true", help="for programs")


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.train.processor import prepare_processor

    prepare_processor(args.threads)
    device = open_device(args.device)
    folders = [Path(what) for what in args.what if (Path(what) / "run.json").is_file()]
    others = [what for what in args.what if Path(what) not in folders]
    if args.plan is not None:  # a training of it that is about to begin has an empty folder
        others = [what for what in others if not Path(what).is_dir() or any(Path(what).iterdir())]
    if folders and others:
        other = others[0]
        why = "it has no run.json" if Path(other).is_dir() else "there is no such folder"
        why = "it is a file" if Path(other).is_file() else why
        raise InvalidValue(
            f"Runs compare with runs, and models with models; {other!r} is no folder of a run: {why}. Leave it out."
        )
    if others:
        _compare_models(args, device)
    else:
        _compare_runs(folders, args, device)
    return 0


def _compare_runs(folders: Sequence[Path], args: Namespace, device: torch.device) -> None:
    from zoo.api import compose
    from zoo.train.comparison.rows import make_rows
    from zoo.train.comparison.runs import read_run
    from zoo.train.plan import read_plan
    from zoo.train.run_folder import RunFolder
    from zoo.weights import without_pretrained

    plan = None if args.plan is None else read_plan(Path(args.plan))
    if plan is not None:  # a run of it that has not ended is among what is missing
        folders = [folder for folder in folders if RunFolder(folder).result.exists()]
        if not folders:
            raise InvalidValue(
                f"None of these runs has ended, so that there is nothing to compare; zoo train --plan {args.plan} goes "
                "on with them."
            )
    if args.data is not None:
        _measure(folders, args, device)
    runs = [read_run(folder, args.model) for folder in folders]
    everywhere = all("test/top1" in run.figures for run in runs)
    split = args.split or ("test" if args.data is not None or everywhere else "validation")
    rows = make_rows(runs, f"{split}/top1")
    if plan is not None:
        rows = plan.titled(rows)
    specs = [
        row.runs[0].spec
        if plan is None or row.runs
        else plan.completed(row.title, like=runs[0].spec)
        for row in rows
    ]
    # What a model costs does not depend on its weights.
    models = [compose(without_pretrained(spec)) for spec in specs]
    title = f"{runs[0].data}/{split}/top1 of the {args.model} epoch"
    lines = _lines(rows, models, args, device)
    _show(Table(title, lines, plan, timed=args.latency), args)


def _measure(folders: Sequence[Path], args: Namespace, device: torch.device) -> None:
    """Measure the models of runs that lack the figure, and write it down in their folders."""
    from zoo.api import load
    from zoo.cli.unseen import trained, unseen_request
    from zoo.train.comparison.runs import read_run
    from zoo.train.data.for_model import data_for, tokens_of
    from zoo.train.evaluation import evaluate
    from zoo.train.run_folder import RunFolder

    split, opened, data = args.split or "test", None, None
    notes: list[str] = []
    for folder in folders:
        run = read_run(folder, args.model)
        before = {"data": run.data, **(RunFolder(folder).read().get("request") or {})}
        request = unseen_request(args, trained(str(folder), before))
        if f"{split}/top1" in run.figures:
            continue
        digest = RunFolder(folder).digest(args.model)
        model = load(RunFolder(folder).model_path(args.model))
        needed = (request, model.spec.input, model.labels, tokens_of(model))
        if data is None or opened != needed:
            data, opened = data_for(model, request, what=str(folder)), needed
            notes += data.notes
        if run.data != data.name:
            raise InvalidValue(f"{folder} was trained on {run.data}, not on {data.name}.")
        if not RunFolder(folder).knows(split, data.digests[split]):
            raise InvalidValue(
                f"{folder} was trained when the {split} split of {run.data} had other samples; to measure it on these, "
                f"zoo evaluate {RunFolder(folder).model_path(args.model)}."
            )
        score = evaluate(model.to(device), data.split(split))
        figures = {f"{split}/top1": score.accuracy, f"{split}/loss": score.loss}
        RunFolder(folder).keep_evaluation(digest, figures)
    _tell(notes)


def _compare_models(args: Namespace, device: torch.device) -> None:
    from zoo.cli.opening import open_model, provenance
    from zoo.cli.unseen import choose, trained, unseen_request
    from zoo.train.comparison.judging import judge_models
    from zoo.train.comparison.rows import Row
    from zoo.train.data.for_model import data_for
    from zoo.train.evaluation import evaluate

    told = [(what, provenance(what)) for what in args.what]
    if args.data is None:
        raise InvalidValue(
            "To compare models, say on which data: --data (and --root). Runs need none."
        )
    if args.plan is not None:
        raise InvalidValue(
            "A plan says which runs there should be; give the folders of runs with it."
        )
    split, models, rows, scores = args.split or "test", [], [], []
    samples, notes = None, list[str]()
    before = choose(args, [trained(what, said) for what, said in told])
    for what, training in zip(args.what, before, strict=True):
        model = open_model(what)
        data = data_for(model, unseen_request(args, training), what=what)
        if samples not in (None, own := (data.name, data.digests[split])):
            raise InvalidValue(
                f"{args.what[0]} and {what} were trained with other splits of {data.name}: there is no {split} split "
                "that neither has seen. Compare models of one --split-seed and one --hold-out, with the same --leaks "
                "and --unreadable."
            )
        samples = own
        notes += data.notes
        scores.append(evaluate(model.to(device), data.split(split)))
        models.append(model)
        rows.append(Row(what, (), (scores[-1].accuracy,), samples=scores[-1].samples))
    _tell(notes)
    against = _row_called(rows, args.against)
    verdicts = judge_models([score.hits for score in scores], rows.index(against))
    lines = _lines(rows, models, args, device, verdicts)
    _show(Table(f"{data.name}/{split}/top1", lines, timed=args.latency), args)


def _tell(notes: Sequence[str]) -> None:
    """Say what there is to know of the data, which were read for each model, once."""
    for note in dict.fromkeys(notes):
        complain("note", note)


def _row_called(rows: Sequence[Row], title: str | None) -> Row:
    rows = [row for row in rows if row.values]
    if title is None:
        return rows[0]
    found = [row for row in rows if row.title == title]
    if not found:
        titles = (row.title for row in rows)
        raise UnknownName(f"No row is called {title!r}. {near_misses(title, titles)}")
    return found[0]


def _lines(
    rows: Sequence[Row],
    models: Sequence[Any],
    args: Namespace,
    device: torch.device,
    verdicts: Sequence[Verdict | None] | None = None,
) -> list[Line]:
    from zoo.composition.costs import cost
    from zoo.composition.timing import latencies
    from zoo.train.comparison.judging import intervals, judge

    if verdicts is None:
        verdicts = judge(rows, _row_called(rows, args.against))
    times = latencies(models, device=device) if args.latency else [None] * len(rows)
    lines = []
    for row, interval, verdict, model, time in zip(
        rows, intervals(rows), verdicts, models, times, strict=True
    ):
        try:
            multiply_adds = cost(model).multiply_adds
        except InvalidValue:  # the model takes any size
            multiply_adds = None
        parameters = sum(parameter.numel() for parameter in model.parameters())
        lines.append(Line(row, interval, verdict, parameters, multiply_adds, time))
    return lines


def _show(table: Table, args: Namespace) -> None:
    if args.json:
        say_json(table.to_data())
    elif args.markdown:
        say(*table.to_markdown())
    else:
        say(*table.to_text(width()))

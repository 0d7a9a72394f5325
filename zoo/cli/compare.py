"""`zoo compare`: runs over seeds, or models on data, side by side, with what is noise."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.cli.data_arguments import add_data_arguments
from zoo.cli.terminal import count, figure, say, say_json, table, width, wrap
from zoo.errors import InvalidValue, UnknownName, near_misses

if TYPE_CHECKING:
    from zoo.train.comparison import Row, Verdict

SUMMARY = "compare runs over their seeds, or models on data"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what", nargs="+", help="folders of runs; or refs and files, which need --data"
    )
    add_data_arguments(parser, required=False)
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
    parser.add_argument("--threads", type=int, help="of the CPU (default: all cores)")
    parser.add_argument("--json", action="store_true", help="for programs")


class Line(NamedTuple):
    """A row of the table, complete.

    Attributes:
        row: The figures.
        verdict: Against the row that all are compared with; None for that one.
        parameters: How many.
        multiply_adds: Of one sample; None where the model takes any size.
        milliseconds: That one sample takes; None if it was not measured, or the model takes any size.
    """

    row: Row
    verdict: Verdict | None
    parameters: int
    multiply_adds: int | None
    milliseconds: float | None


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.cli.processor import prepare_processor

    prepare_processor(args.threads)
    folders = [Path(what) for what in args.what if (Path(what) / "run.json").is_file()]
    if len(folders) not in (0, len(args.what)):
        other = next(what for what in args.what if Path(what) not in folders)
        raise InvalidValue(
            f"Runs compare with runs, and models with models; {other!r} is no folder of a run."
        )
    if folders:
        _compare_runs(folders, args)
    else:
        _compare_models(args)
    return 0


def _compare_runs(folders: Sequence[Path], args: Namespace) -> None:
    from zoo.api import load
    from zoo.train.comparison import make_rows, read_run
    from zoo.train.plan import read_plan
    from zoo.train.run_folder import RunFolder

    plan = None if args.plan is None else read_plan(Path(args.plan))
    if args.data is not None:
        _measure(folders, args)
    runs = [read_run(folder, args.model) for folder in folders]
    everywhere = all("test/top1" in run.figures for run in runs)
    split = args.split or ("test" if args.data is not None or everywhere else "validation")
    rows = make_rows(runs, f"{split}/top1")
    if plan is not None:
        rows = plan.titled(rows)
    models = [load(RunFolder(row.runs[0].folder).model_path(args.model)) for row in rows]
    lines = _lines(rows, models, args)
    missing = [] if plan is None else [t.folder for t in plan.missing(rows)]
    title = f"{runs[0].data}/{split}/top1 of the {args.model} epoch"
    _show(title, lines, args, missing=missing)


def _measure(folders: Sequence[Path], args: Namespace) -> None:
    """Measure the models of runs that lack the figure, and write it down in their folders."""
    from zoo.api import load
    from zoo.cli.unseen import trained, unseen_request
    from zoo.train.comparison import read_run
    from zoo.train.data import open_data
    from zoo.train.evaluation import evaluate
    from zoo.train.run_folder import RunFolder

    split, opened, data = args.split or "test", None, None
    for folder in folders:
        run = read_run(folder, args.model)
        before = {"data": run.data, **(RunFolder(folder).read().get("request") or {})}
        request = unseen_request(args, trained(str(folder), before))
        if f"{split}/top1" in run.figures:
            continue
        model = load(RunFolder(folder).model_path(args.model))
        tokens = None if model.vocabulary is None else model.vocabulary.tokens()
        if data is None or opened != (request, tokens):
            data = open_data(request, model.spec.to_data()["input"], vocabulary=tokens)
            opened = (request, tokens)
        if run.data != data.name or model.labels != data.labels:
            raise InvalidValue(f"{folder} was trained on {run.data}, not on {data.name}.")
        score = evaluate(model, data.split(split))
        figures = {f"{split}/top1": score.accuracy, f"{split}/loss": score.loss}
        RunFolder(folder).keep_evaluation(args.model, figures)


def _compare_models(args: Namespace) -> None:
    from zoo.cli.opening import open_model, provenance
    from zoo.cli.unseen import choose, trained, unseen_request
    from zoo.train.comparison import Row, judge_models
    from zoo.train.data import open_data
    from zoo.train.evaluation import evaluate

    if args.data is None:
        raise InvalidValue(
            "To compare models, say on which data: --data (and --root). Runs need none."
        )
    if args.plan is not None:
        raise InvalidValue(
            "A plan says which runs there should be; give the folders of runs with it."
        )
    split, models, rows, scores = args.split or "test", [], [], []
    samples = None
    before = choose(args, [trained(what, provenance(what)) for what in args.what])
    for what, training in zip(args.what, before, strict=True):
        model = open_model(what)
        tokens = None if model.vocabulary is None else model.vocabulary.tokens()
        request = unseen_request(args, training)
        data = open_data(request, model.spec.to_data()["input"], vocabulary=tokens)
        if samples not in (None, own := (data.name, data.members.get(split))):
            raise InvalidValue(
                f"{args.what[0]} and {what} were trained with other splits of {data.name}: there is no {split} split "
                "that neither has seen. Compare models of one --split-seed and one --hold-out."
            )
        samples = own
        if model.labels is not None and model.labels != data.labels:
            raise InvalidValue(f"{what} tells other classes apart than {data.name} has.")
        scores.append(evaluate(model, data.split(split)))
        models.append(model)
        rows.append(Row(what, (), (scores[-1].accuracy,), samples=scores[-1].samples))
    against = _row_called(rows, args.against)
    verdicts = judge_models([score.hits for score in scores], rows.index(against))
    _show(f"{data.name}/{split}/top1", _lines(rows, models, args, verdicts), args)


def _row_called(rows: Sequence[Row], title: str | None) -> Row:
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
    verdicts: Sequence[Verdict | None] | None = None,
) -> list[Line]:
    from zoo.composition.costs import cost
    from zoo.composition.timing import latencies
    from zoo.train.comparison import judge

    if verdicts is None:
        verdicts = judge(rows, _row_called(rows, args.against))
    times = latencies(models) if args.latency else [None] * len(rows)
    lines = []
    for row, verdict, model, time in zip(rows, verdicts, models, times, strict=True):
        try:
            multiply_adds = cost(model).multiply_adds
        except InvalidValue:  # the model takes any size
            multiply_adds = None
        parameters = sum(parameter.numel() for parameter in model.parameters())
        lines.append(Line(row, verdict, parameters, multiply_adds, time))
    return lines


def _show(
    title: str, lines: Sequence[Line], args: Namespace, *, missing: Sequence[str] = ()
) -> None:
    if args.json:
        say_json(
            {"figure": title, "rows": [_data(line) for line in lines], "missing": list(missing)}
        )
        return
    say(title, "")
    headings = [
        "row",
        "seeds",
        "mean",
        "95 %",
        "params",
        "multiply-adds",
        "ms",
        "difference",
        "verdict",
    ]
    say(*table(headings, [_cells(line) for line in lines], columns=width()))
    say("", *_footnotes(lines, missing, timed=args.latency))


def _cells(line: Line) -> list[str]:
    row, verdict = line.row, line.verdict
    mean = figure("top1", {"mean": row.mean, "std": row.std})
    return [
        row.title,
        str(len(row.values)),
        mean,
        ""
        if row.interval is None
        else "{:.2f} to {:.2f}".format(*(100 * end for end in row.interval)),
        count(line.parameters),
        count(line.multiply_adds),
        "" if line.milliseconds is None else f"{line.milliseconds:.2f}",
        "" if verdict is None else f"{100 * verdict.difference:+.2f}",
        "" if verdict is None else _verdict(verdict),
    ]


def _verdict(verdict: Verdict) -> str:
    if verdict.probability is None:
        return "one seed: nothing can be said"
    chance = f"p {verdict.probability:.2g}"
    if verdict.is_noise:
        return f"within noise ({chance})"
    return f"{'higher' if verdict.difference > 0 else 'lower'} ({chance})"


def _footnotes(lines: Sequence[Line], missing: Sequence[str], *, timed: bool) -> list[str]:
    seeds = any(len(line.row.values) > 1 for line in lines)
    notes = []
    if seeds:
        notes.append(
            "Mean ± standard deviation over the seeds; 95 % interval of the mean (Student); p of Welch's t-test "
            "against the row without a difference, with Holm's correction; below 0.05 counts."
        )
    elif any(line.row.samples for line in lines):
        notes.append(
            "95 % interval for samples such as these (Wilson); p of McNemar's exact test on the same samples, with "
            "Holm's correction; below 0.05 counts. How much another seed would change is not in it."
        )
    if timed and any(line.milliseconds is None for line in lines):
        notes.append("No time is given for a model that takes inputs of any size.")
    if missing:
        notes.append(f"Missing: {', '.join(missing)}.")
    return [part for note in notes for part in wrap(note, width())]


def _data(line: Line) -> dict[str, Any]:
    row, verdict = line.row, line.verdict
    return {
        "row": row.title,
        "values": list(row.values),
        "mean": row.mean,
        "std": row.std,
        "interval": row.interval,
        "parameters": line.parameters,
        "multiply_adds": line.multiply_adds,
        "milliseconds": line.milliseconds,
        "difference": None if verdict is None else verdict.difference,
        "p": None if verdict is None else verdict.probability,
    }

"""What `zoo compare` found: a row for each model or each kind of run, as a table, as Markdown and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.cli import markdown
from zoo.cli.terminal import figure, table, wrap
from zoo.errors import counted, some

if TYPE_CHECKING:
    from zoo.train.comparison.judging import Verdict
    from zoo.train.comparison.rows import Row
    from zoo.train.plan import Plan, Training

_HEADINGS = (
    "row",
    "seeds",
    "mean",
    "95 %",
    "parameters",
    "multiply-adds",
    "ms",
    "difference",
    "verdict",
)


class Line(NamedTuple):
    """A row of the table, complete.

    Attributes:
        row: The figures.
        interval: That the figure lies in, at 95 %; None where nothing is known of it.
        verdict: Against the row that all are compared with; None for that one.
        parameters: How many.
        multiply_adds: Of one sample; None where the model takes any size.
        milliseconds: That one sample takes; None if it was not measured, or the model takes any size.
    """

    row: Row
    interval: tuple[float, float] | None
    verdict: Verdict | None
    parameters: int
    multiply_adds: int | None
    milliseconds: float | None


class Table(NamedTuple):
    """All rows.

    Attributes:
        title: The figure that is compared.
        lines: A row each.
        plan: What was to be trained; rows that nobody trained have no figures.
        timed: Whether times were to be measured.
    """

    title: str
    lines: Sequence[Line]
    plan: Plan | None = None
    timed: bool = False

    def to_text(self, columns: int | None) -> list[str]:
        """For people, in lines of so many columns."""
        notes = [part for note in self._notes() for part in wrap(note, columns)]
        return [self.title, "", *table(_HEADINGS, list(self._cells()), columns=columns), "", *notes]

    def to_markdown(self) -> list[str]:
        """For a page."""
        cells = list(self._cells())
        used = [number for number, column in enumerate(zip(*cells, strict=True)) if any(column)]
        rows = ([row[number] for number in used] for row in (_HEADINGS, *cells))
        return [f"`{self.title}`", "", *markdown.table(rows), "", *self._notes()]

    def to_data(self) -> dict[str, Any]:
        """For programs."""
        missing = [training.folder for training in self._missing()]
        return {
            "figure": self.title,
            "rows": [_data(line) for line in self.lines],
            "missing": missing,
        }

    def _cells(self) -> Iterator[Sequence[str]]:
        titles = [] if self.plan is None else self.plan.titles
        seeds = "" if self.plan is None else f" of {self.plan.seeds}"
        for line in self.lines:
            yield _cells(line, seeds if line.row.title in titles else "")

    def _missing(self) -> list[Training]:
        if self.plan is None:
            return []
        return list(self.plan.missing(line.row for line in self.lines))

    def _notes(self) -> Iterator[str]:
        from zoo.train.comparison.judging import pooled

        tested = any(line.verdict and line.verdict.probability is not None for line in self.lines)
        spread = pooled(line.row for line in self.lines)
        if spread is not None:
            test = "; p of Dunnett's test against the row without a difference; below 0.05 counts"
            yield (
                "Mean ± standard deviation over the seeds. How far seeds scatter is taken to be the same for all rows: "
                f"{100 * spread.std:.2f}, known with {counted(spread.freedom, 'degree')} of freedom. By it a 95 % confidence "
                f"interval of the mean (Student's t), cut off at 0 and 100{test if tested else ''}. How much other samples "
                "would change is not in it."
            )
        elif any(line.row.samples for line in self.lines):
            test = "; p of McNemar's exact test on the same samples, with Holm's correction; below 0.05 counts"
            yield (
                f"95 % confidence interval for samples such as these (Wilson){test if tested else ''}. How much "
                "another seed would change is not in it."
            )
        if self.timed and any(line.milliseconds is None for line in self.lines):
            yield "No time is given for a model that takes inputs of any size."
        missing = self._missing()
        if missing:
            rows = {line.row.title for line in self.lines if line.row.values}
            begun = [training.folder for training in missing if training.title in rows]
            of = f"{len(missing)} of {len(self.plan.trainings if self.plan else ())} trainings"
            yield f"Missing: {of}{f', {some(begun)} among them' if begun else ''}."


def _cells(line: Line, of: str) -> list[str]:
    row, verdict, interval = line.row, line.verdict, line.interval
    macs, time = line.multiply_adds, line.milliseconds
    return [
        row.title,
        f"{len(row.values)}{of}",
        figure("top1", {"mean": row.mean, "std": row.std}) if row.values else "missing",
        "" if interval is None else "{:.2f} to {:.2f}".format(*(100 * end for end in interval)),
        f"{line.parameters:,}",
        "" if macs is None else f"{macs:,}",
        "" if time is None else f"{time:.2f}",
        "" if verdict is None else f"{100 * verdict.difference:+.2f}",
        "" if verdict is None else _verdict(verdict),
    ]


def _verdict(verdict: Verdict) -> str:
    if verdict.probability is None:
        return "nothing can be said"
    # Five places are certain of what is computed.
    shown = verdict.probability >= 1e-4
    chance = f"p {verdict.probability:.2g}" if shown else "p < 0.0001"
    if verdict.is_noise:
        return f"within noise ({chance})"
    return f"{'higher' if verdict.difference > 0 else 'lower'} ({chance})"


def _data(line: Line) -> dict[str, Any]:
    row, verdict = line.row, line.verdict
    return {
        "row": row.title,
        "values": list(row.values),
        "mean": row.mean if row.values else None,
        "std": row.std,
        "interval": line.interval,
        "parameters": line.parameters,
        "multiply_adds": line.multiply_adds,
        "milliseconds": line.milliseconds,
        "difference": None if verdict is None else verdict.difference,
        "p": None if verdict is None else verdict.probability,
    }

"""What `zoo bench` found: a row for each model and batch, as a table and as plain data."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.cli.terminal import count, table, width, wrap

if TYPE_CHECKING:
    from zoo.composition.model import Model


class Contender(NamedTuple):
    """A model that is timed.

    Attributes:
        title: As it was asked for.
        model: Itself.
        shape: Of one sample, without the batch.
        parameters: How many.
        multiply_adds: Of one sample; None where they cannot be counted.
    """

    title: str
    model: Model
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int | None

    @property
    def kind(self) -> str:
        """Of its input."""
        return self.model.spec.input.kind

    @property
    def words(self) -> str:
        """What it is, and at which size."""
        return f"{self.title} at {self.size}"

    @property
    def size(self) -> str:
        """Its shape: `3x32x32`, `32 tokens`."""
        return "x".join(map(str, self.shape)) + (" tokens" if self.kind == "text" else "")


class Row(NamedTuple):
    """What a model cost at one batch.

    Attributes:
        contender: The model.
        batch: Samples a turn.
        milliseconds: Of its turns, by rounds; none if it failed.
        ratio: Of its median to that of the first model; None if either failed.
        problem: Why it failed; empty if it did not.
    """

    contender: Contender
    batch: int
    milliseconds: list[float]
    ratio: float | None
    problem: str

    @property
    def median(self) -> float:
        """Of the milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between which the middle half of the milliseconds lies."""
        if len(self.milliseconds) == 1:
            return self.milliseconds[0], self.milliseconds[0]
        first, _, third = statistics.quantiles(self.milliseconds, n=4, method="inclusive")
        return first, third


def table_lines(rows: Sequence[Row]) -> list[str]:
    """The rows of one batch, under their headings."""
    headings = ("params", "mult-adds", "ms", "quartiles", "samples/s", "ratio", "model")
    return table(headings, [_cells(row) for row in rows], columns=width())


def footnote(rounds: int, *, training: bool) -> list[str]:
    """What the figures of a table are."""
    run = "training step" if training else "batch"
    text = (
        f"Milliseconds a {run}: median and quartiles of {rounds} round{'s' * (rounds != 1)}, in which the models take "
        "turns. Ratio: to the first model's median. Multiply-adds: of one sample, forward."
    )
    return wrap(text, width())


def row_data(row: Row) -> dict[str, Any]:
    """A row as plain data, the same fields for one that failed."""
    contender, is_timed = row.contender, bool(row.milliseconds)
    return {
        "model": contender.title,
        "input": contender.kind,
        "shape": list(contender.shape),
        "batch": row.batch,
        "parameters": contender.parameters,
        "multiply_adds": contender.multiply_adds,
        "milliseconds": row.median if is_timed else None,
        "quartiles": list(row.quartiles) if is_timed else None,
        "samples_per_second": 1000 * row.batch / row.median if is_timed else None,
        "ratio": row.ratio,
        "problem": row.problem or None,
    }


def _cells(row: Row) -> list[str]:
    contender = row.contender
    size = [count(contender.parameters), count(contender.multiply_adds)]
    if not row.milliseconds:
        return [*size, "failed", "", "", "", contender.words]
    return [
        *size,
        _digits(row.median),
        " - ".join(map(_digits, row.quartiles)),
        _digits(1000 * row.batch / row.median),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        contender.words,
    ]


def _digits(value: float) -> str:
    """A number with three significant digits, or all those before the point."""
    if value <= 0:
        return "0"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"

"""Which differences are noise.

How far seeds scatter is taken to be the same for all rows, which have few seeds each and many together: with the
deviation pooled over the rows come a 95 % confidence interval of each mean (Student's t), and Dunnett's test of all
rows against one of them (Dunnett, "A Multiple Comparison Procedure for Comparing Several Treatments with a Control",
J. Am. Stat. Assoc. 1955), whose probabilities allow for the number of rows. Models that were measured on the same
samples are compared by these: Wilson's interval, and McNemar's exact test with Holm's correction (Holm, "A Simple
Sequentially Rejective Multiple Test Procedure", Scand. J. Statist. 1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import MissingExtra
from zoo.train.comparison.dunnett import probabilities
from zoo.train.comparison.rows import Row

if TYPE_CHECKING:
    from torch import Tensor

LEVEL = 0.05  # of all comparisons in a table together


class Spread(NamedTuple):
    """How far a figure scatters from seed to seed, pooled over rows.

    Attributes:
        std: Standard deviation.
        freedom: Degrees of freedom that it is known with, at least 1.
    """

    std: float
    freedom: int


class Verdict(NamedTuple):
    """A row against the one that all are compared with.

    Attributes:
        difference: Of the means, this one less that one.
        probability: Of such a difference by chance alone, corrected for the number of rows; None where nothing
            is known of the spread from seed to seed, so that nothing can be said.
    """

    difference: float
    probability: float | None

    @property
    def is_noise(self) -> bool:
        """Whether chance explains the difference, or nothing can be said."""
        return self.probability is None or self.probability >= LEVEL


def pooled(rows: Iterable[Row]) -> Spread | None:
    """The spread within rows; None if no row has two seeds."""
    squares, freedom = 0.0, 0
    for row in rows:
        if row.std is not None:
            squares += row.std**2 * (len(row.values) - 1)
            freedom += len(row.values) - 1
    return Spread(math.sqrt(squares / freedom), freedom) if freedom else None


def intervals(rows: Sequence[Row]) -> list[tuple[float, float] | None]:
    """95 % confidence intervals: of the means over seeds, or of the shares of models; None where nothing is known.

    Student's knows of no bounds: it ends where shares do.
    """
    spread = pooled(rows)
    return [_interval(row, spread) for row in rows]


def _interval(row: Row, spread: Spread | None) -> tuple[float, float] | None:
    statistics = _statistics()
    if row.samples is not None:
        right = round(row.values[0] * row.samples)
        wilson = statistics.binomtest(right, row.samples).proportion_ci(0.95, method="wilson")
        return float(wilson.low), float(wilson.high)
    if spread is None or not row.values:
        return None
    quantile = float(statistics.t.ppf(0.975, spread.freedom))
    half = quantile * spread.std / math.sqrt(len(row.values))
    return max(0.0, row.mean - half), min(1.0, row.mean + half)


def judge(rows: Sequence[Row], against: Row) -> list[Verdict | None]:
    """Compare every row with one of them; None stands for that one itself, and for rows without a run."""
    _statistics()  # or say how to install it
    compared = {n: row for n, row in enumerate(rows) if row is not against and row.values}
    chances: dict[int, float] = {}
    spread = pooled(rows)
    if compared and spread is not None and spread.std > 0.0:
        found = probabilities(
            [row.mean - against.mean for row in compared.values()],
            [len(row.values) for row in compared.values()],
            control=len(against.values),
            std=spread.std,
            freedom=spread.freedom,
        )
        chances = dict(zip(compared, found, strict=True))
    return [
        Verdict(row.mean - against.mean, chances.get(n)) if n in compared else None
        for n, row in enumerate(rows)
    ]


def judge_models(hits: Sequence[Tensor], against: int) -> list[Verdict | None]:
    """Compare models by the samples that one of them got right and another did not.

    Args:
        hits: For each model which samples it got right: bool (N,), the same samples for all.
        against: The number of the model that all are compared with; None stands for that one itself.
    """
    raw: dict[int, float] = {}
    for number, own in enumerate(hits):
        if number != against:
            better, worse = int((own & ~hits[against]).sum()), int((hits[against] & ~own).sum())
            tried = better + worse
            raw[number] = _statistics().binomtest(better, tried).pvalue if tried else 1.0
    corrected = _holm(raw)
    base = float(hits[against].float().mean())
    return [
        None if number == against else Verdict(float(own.float().mean()) - base, corrected[number])
        for number, own in enumerate(hits)
    ]


def _holm(raw: dict[int, float]) -> dict[int, float]:
    corrected: dict[int, float] = {}
    so_far = 0.0
    for rank, number in enumerate(sorted(raw, key=lambda key: raw[key])):
        so_far = max(so_far, min(1.0, raw[number] * (len(raw) - rank)))
        corrected[number] = so_far
    return corrected


def _statistics() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise MissingExtra(
            "Comparing over seeds needs SciPy. Install it: pip install 'attn-zoo[train]'"
        ) from error
    return stats

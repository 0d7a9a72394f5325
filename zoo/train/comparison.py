"""Comparing trainings and models: which is better, and which differences are noise.

Runs that differ by their seed alone are one row: mean and standard deviation over the seeds. How far seeds scatter is
taken to be the same for all rows, which have few seeds each and many together: with the deviation pooled over the
rows come a 95 % confidence interval of each mean (Student's t), and Dunnett's test of all rows against one of them
(Dunnett, "A Multiple Comparison Procedure for Comparing Several Treatments with a Control", J. Am. Stat. Assoc.
1955), whose probabilities allow for the number of rows. Models that were measured on the same samples are compared
by these: Wilson's interval, and McNemar's exact test with Holm's correction (Holm, "A Simple Sequentially Rejective
Multiple Test Procedure", Scand. J. Statist. 1979).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from zoo.errors import InvalidValue, MissingExtra, UnknownName, first_line, near_misses, some
from zoo.grammar import to_text
from zoo.spec import Spec
from zoo.train.dunnett import probabilities
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder

if TYPE_CHECKING:
    from torch import Tensor

LEVEL = 0.05  # of all comparisons in a table together

Which = Literal["best", "last"]


class Run(NamedTuple):
    """A run that has ended.

    Attributes:
        folder: Where it is.
        spec: What was trained.
        recipe: How, with its seed.
        data: On what.
        figures: `validation/top1` and the like of the model at hand, shares in [0, 1].
        conditions: What else it depends on: the weights that it began with, how the data were divided, and what
            was done with samples that are amiss.
        digests: Of the samples of each split, as far as they were noted.
    """

    folder: Path
    spec: Spec
    recipe: dict[str, Any]
    data: str
    figures: dict[str, float]
    conditions: Mapping[str, Any] = MappingProxyType({})
    digests: Mapping[str, str] = MappingProxyType({})


class Row(NamedTuple):
    """Runs that differ by their seed alone, or one model.

    Attributes:
        title: What was trained, as far as the rows differ; or the model's name.
        runs: One a seed; none where nobody trained it yet.
        values: Their figures, shares in [0, 1].
        samples: On how many samples a model was measured; None for runs.
    """

    title: str
    runs: tuple[Run, ...]
    values: tuple[float, ...]
    samples: int | None = None

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return fmean(self.values)

    @property
    def std(self) -> float | None:
        """Standard deviation over the seeds; None for one seed."""
        return stdev(self.values) if len(self.values) > 1 else None


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


def read_run(folder: Path, which: Which = "last") -> Run:
    """Read the figures of a run.

    Args:
        folder: Its folder.
        which: Of the best epoch by validation, or of the last epoch. The last is the fair one to compare by:
            nothing was chosen.

    Raises:
        InvalidValue: There is no run in it, or it has not ended.
    """
    run, path = asked_run(folder), RunFolder(folder).result
    if not path.exists():
        raise InvalidValue(
            f"{folder} has no result yet. Go on with it: {RunFolder(folder).resume_command}"
        )
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        epoch = result["best"] if which == "best" else result["history"][-1]
        figures = {name: float(value) for name, value in epoch.items() if "/" in name}
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InvalidValue(
            f"{path} cannot be read ({first_line(error)}). Delete it, and have it written anew: "
            f"{RunFolder(folder).resume_command}"
        ) from None
    figures.update(RunFolder(folder).evaluations(which))
    return run._replace(figures=figures)


def asked_run(folder: Path) -> Run:
    """Read what was asked of a run, which may be without figures as yet.

    Raises:
        InvalidValue: There is no run in the folder.
    """
    asked = RunFolder(folder).read()
    spec = Spec.from_data(asked["spec"], where=f"{folder}: spec")
    # With every field: of one that was added since, the default stands for what was before.
    recipe = Recipe.from_data(asked["recipe"], where=f"{folder}: recipe").to_data()
    return Run(
        folder,
        spec,
        recipe,
        asked["data"],
        {},
        RunFolder.conditions(asked),
        asked.get("digests") or {},
    )


def make_rows(runs: Iterable[Run], figure: str) -> list[Row]:
    """Put runs that differ by their seed alone together, in the order in which they come.

    Args:
        runs: Runs on one data set.
        figure: Which figure, e.g. `test/top1`.

    Raises:
        InvalidValue: The runs are on several data sets or other samples, or one seed comes twice.
        UnknownName: A run lacks the figure.
    """
    groups: dict[str, list[Run]] = {}
    data = None
    for run in runs:
        if data is not None and run.data != data:
            raise InvalidValue(
                f"{run.folder} is on {run.data}, the runs before it are on {data}; compare one data set at a time."
            )
        data = run.data
        if figure not in run.figures:
            raise UnknownName(
                f"{run.folder} has no {figure} yet, which --data (and --root) measures. {near_misses(figure, run.figures)}"
            )
        groups.setdefault(_identity(run), []).append(run)
    for group in groups.values():
        _check_seeds(group)
        _check_samples(group)
    _check_split([run for group in groups.values() for run in group], figure.partition("/")[0])
    titles = _titles([group[0] for group in groups.values()])
    return [
        Row(title, tuple(group), tuple(run.figures[figure] for run in group))
        for title, group in zip(titles, groups.values(), strict=True)
    ]


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


def _identity(run: Run) -> str:
    """What runs of one row share: everything but the seed."""
    recipe = {name: value for name, value in run.recipe.items() if name != "seed"}
    return json.dumps([run.spec.to_data(), recipe, dict(run.conditions)], sort_keys=True)


def _check_seeds(group: Sequence[Run]) -> None:
    seen: dict[Any, Path] = {}
    for run in group:
        seed = run.recipe.get("seed")
        if seed in seen:
            raise InvalidValue(
                f"{seen[seed]} and {run.folder} are the same training with the same seed; name one of them."
            )
        seen[seed] = run.folder


def _check_samples(group: Sequence[Run]) -> None:
    noted: dict[str, tuple[str, Path]] = {}
    for run in group:
        for split, digest in run.digests.items():
            there, folder = noted.setdefault(split, (digest, run.folder))
            if there != digest:
                raise InvalidValue(
                    f"{folder} and {run.folder} are the same training, but the {split} split of {run.data} had other "
                    "samples in between; leave one of them out."
                )


def _check_split(runs: Sequence[Run], split: str) -> None:
    """See that figures are of the same samples, wherever the data were treated and divided alike."""
    noted: dict[str, Run] = {}
    for run in runs:
        if split not in run.digests:  # of before samples were noted
            continue
        alike = {name: value for name, value in run.conditions.items() if name != "started_from"}
        there = noted.setdefault(json.dumps(alike, sort_keys=True), run)
        if run.digests[split] != there.digests[split]:
            raise InvalidValue(
                f"{there.folder} and {run.folder} were trained on data that are both called {run.data}, but the {split} "
                "split has other samples; their figures cannot be compared."
            )


def _titles(runs: Sequence[Run]) -> list[str]:
    """What each run trained: its attentions where only these differ, else its whole spec; then all else."""
    backbones = {
        json.dumps([run.spec.to_data()[part] for part in ("input", "backbone", "head")])
        for run in runs
    }
    short = len(backbones) == 1
    titles = []
    for run in runs:
        parts = to_text(run.spec).split(" -> ")[1]
        titles.append((" + ".join(parts.split(" + ")[1:-1]) or "none") if short else parts)
    others = [
        {
            **run.spec.to_data()["input"],
            "classes": some(run.spec.output.labels or ()),
            **run.recipe,
            **run.conditions,
            "seed": None,
        }
        for run in runs
    ]
    for field in sorted({name for other in others for name in other}):
        values = [other.get(field) for other in others]
        if any(value != values[0] for value in values):
            titles = [
                title if value is None else f"{title}, {field} {_shown(value)}"
                for title, value in zip(titles, values, strict=True)
            ]
    return [
        title if titles.count(title) == 1 else f"{title}, {run.folder}"
        for title, run in zip(titles, runs, strict=True)
    ]


def _shown(value: Any) -> str:
    """A value in a title: of what a run started from its digest or name, of an augmentation the short form."""
    if isinstance(value, Mapping):
        said = {**value}
        if isinstance(digest := said.get("sha256"), str):
            return digest[:12]
        name = said.pop("name", "")
        options = ", ".join(f"{key}={_shown(one)}" for key, one in said.items())
        return f"{name}({options})" if options and name else name or options
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _statistics() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise MissingExtra(
            "Comparing over seeds needs SciPy. Install it: pip install 'attn-zoo[train]'"
        ) from error
    return stats

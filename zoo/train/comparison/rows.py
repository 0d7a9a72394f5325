"""Rows of a comparison: runs that differ by their seed alone, or one model."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from zoo.errors import InvalidValue, UnknownName
from zoo.train.comparison.runs import Run
from zoo.train.comparison.titles import titles_of

_FEW = 8  # folders that make a command which can be read


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


def make_rows(runs: Iterable[Run], figure: str) -> list[Row]:
    """Put runs that differ by their seed alone together, in the order in which they come.

    Args:
        runs: Runs on one data set.
        figure: Which figure, e.g. `test/top1`.

    Raises:
        InvalidValue: The runs are on several data sets or other samples, or one seed comes twice.
        UnknownName: A run lacks the figure.
    """
    runs = list(runs)
    _check_data(runs)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if figure not in run.figures:
            raise UnknownName(
                f"{run.folder} has no {figure} yet, which --data (and --root) measures."
            )
        groups.setdefault(_identity(run), []).append(run)
    for group in groups.values():
        _check_seeds(group)
        _check_samples(group)
    _check_split([run for group in groups.values() for run in group], figure.partition("/")[0])
    titles = titles_of([group[0] for group in groups.values()])
    return [
        Row(title, tuple(group), tuple(run.figures[figure] for run in group))
        for title, group in zip(titles, groups.values(), strict=True)
    ]


def _identity(run: Run) -> str:
    """What runs of one row share: everything but the seed."""
    recipe = {name: value for name, value in run.recipe.items() if name != "seed"}
    return json.dumps([run.spec.to_data(), recipe, dict(run.conditions)], sort_keys=True)


def _check_data(runs: Sequence[Run]) -> None:
    other = next((run for run in runs if run.data != runs[0].data), None)
    if other is None:
        return
    data = runs[0].data
    alike = [str(run.folder) for run in runs if run.data == data]
    command = f": {shlex.join(['zoo', 'compare', *alike])}" if len(alike) <= _FEW else "."
    raise InvalidValue(
        f"{other.folder} is on {other.data}, the runs before it are on {data}; compare one data set at a time{command}"
    )


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

"""Runs that have ended, as they are compared: what was trained on what, and the figures that came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from zoo.errors import InvalidValue, first_line
from zoo.spec import Spec
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder

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

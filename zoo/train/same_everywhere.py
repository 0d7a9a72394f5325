"""Processes that train together are given the same, or nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback

from zoo.errors import InvalidValue
from zoo.train.processes import of_all


class SameEverywhere(Callback):
    """See, once the processes know each other, that no machine has another state of a file than the first one.

    Args:
        given: What this process was given, by its name for people.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002 - Lightning's
        """Compare.

        Raises:
            InvalidValue: A process was given something else.
        """
        first, *others = of_all(self._given)
        for rank, given in enumerate(others, 1):
            differing = [name for name in first if given[name] != first[name]]
            if differing:
                raise InvalidValue(
                    f"Process {rank} was given another {' and another '.join(differing)} than process 0. Give all "
                    "machines the same files and the same command."
                )

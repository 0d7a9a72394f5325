"""Which variants a query takes in."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import InvalidValue

if TYPE_CHECKING:
    from zoo.listing import VariantRow

_METRIC = re.compile(
    r"\s*([^\s<>=]+)\s*(?:(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*)?\Z"
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_NDIMS = {"image": 2, "sequence": 1, "audio": 1, "text": 1}


class Condition(NamedTuple):
    """A bound on a figure; without one, that there is the figure."""

    metric: str
    comparison: str | None
    bound: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read e.g. `cifar10-jpeg/test/top1>0.9`.

        Raises:
            InvalidValue: The text is not of that form.
        """
        match = _METRIC.match(text)
        if match is None:
            raise InvalidValue(
                f"{text!r} is no condition on a metric; write e.g. 'cifar10-jpeg/test/top1>0.9'."
            )
        return cls(match[1], match[2], float(match[3] or 0))

    def holds(self, metrics: dict[str, dict[str, Any]]) -> bool:
        """Whether the figures of a version fulfil it."""
        if self.metric not in metrics:
            return False
        return self.comparison is None or _COMPARISONS[self.comparison](
            metrics[self.metric]["mean"], self.bound
        )


class Query(NamedTuple):
    """Conditions that all must hold; None asks for nothing. As in `zoo.list_variants`.

    Attributes:
        members: Titles of the attentions of a family, of which one must be there.
    """

    pattern: str = "*"
    backbone: str | None = None
    attention: str | None = None
    members: set[str] | None = None
    head: str | None = None
    ndim: int | None = None
    max_params: int | None = None
    condition: Condition | None = None

    def takes(self, name: str, row: VariantRow) -> bool:
        """Whether a variant fulfils every condition."""
        named = {"backbone": self.backbone, "attention": self.attention, "head": self.head}
        return (
            fnmatchcase(name, self.pattern)
            and all(_has(row, kind, wanted) for kind, wanted in named.items() if wanted is not None)
            and (self.members is None or not self.members.isdisjoint(row.components))
            and self.ndim in (None, _NDIMS[row.input])
            and (
                self.max_params is None
                or (row.params is not None and row.params <= self.max_params)
            )
            and (self.condition is None or self.condition.holds(row.metrics))
        )


def _has(row: VariantRow, kind: str, wanted: str) -> bool:
    return any(fnmatchcase(title, f"{kind}/{wanted}") for title in row.components)

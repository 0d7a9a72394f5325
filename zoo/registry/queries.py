"""Which variants a query takes in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from zoo.errors import InvalidValue

_METRIC = re.compile(
    r"\s*([^\s<>=]+)\s*(?:(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*)?\Z"
)
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

    @property
    def asks_for_components(self) -> bool:
        """Whether there is a condition on components or on the input."""
        asked = (self.backbone, self.attention, self.members, self.head, self.ndim)
        return any(value is not None for value in asked)

    def takes(self, components: Sequence[str], kind: str) -> bool:
        """Whether components (`kind/name`) and the kind of input fulfil the conditions on them."""
        named = {"backbone": self.backbone, "attention": self.attention, "head": self.head}
        return (
            all(_has(components, kind, name) for kind, name in named.items() if name is not None)
            and (self.members is None or not self.members.isdisjoint(components))
            and self.ndim in (None, _NDIMS[kind])
        )


def _has(components: Sequence[str], kind: str, wanted: str) -> bool:
    return any(fnmatchcase(title, f"{kind}/{wanted}") for title in components)

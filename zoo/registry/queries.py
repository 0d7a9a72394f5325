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
        match = _METRIC.match(text) if isinstance(text, str) else None
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
    def named(self) -> dict[str, str]:
        """The components that are asked for by name and not by a pattern, by kind."""
        return {kind: name for kind, name in self._wanted.items() if not is_pattern(name)}

    @property
    def _wanted(self) -> dict[str, str]:
        asked = {"backbone": self.backbone, "attention": self.attention, "head": self.head}
        return {kind: name for kind, name in asked.items() if name is not None}

    @property
    def asks_for_components(self) -> bool:
        """Whether there is a condition on components or on the input."""
        return bool(self._wanted) or self.members is not None or self.ndim is not None

    def takes(self, components: Sequence[str], kind: str) -> bool:
        """Whether components (`kind/name`) and the kind of input fulfil the conditions on them."""
        return (
            all(_has(components, kind, name) for kind, name in self._wanted.items())
            and (self.members is None or not self.members.isdisjoint(components))
            and self.ndim in (None, _NDIMS[kind])
        )


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern, and not a name."""
    return not set("*?[").isdisjoint(text)


def _has(components: Sequence[str], kind: str, wanted: str) -> bool:
    return any(fnmatchcase(title, f"{kind}/{wanted}") for title in components)

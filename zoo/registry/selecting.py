"""The variants of one registry that a query takes in, found in the tables of its index."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from zoo.registry.index import Index, Listing
from zoo.registry.queries import Query

_LARGEST = 2**63 - 1  # that a table can hold
_ONE_OF = "IN (SELECT value FROM json_each(?))"


class Selection:
    """The variants of a registry that a query takes in, each by the version that its plain name comes to.

    Args:
        index: The registry's.
        query: Which variants.
        holds: Says whether the distributions that a version needs are there.
        hidden: Names that another registry answers for.
    """

    def __init__(
        self,
        index: Index,
        query: Query,
        *,
        holds: Callable[[Mapping[str, str]], bool],
        hidden: Collection[str] = (),
    ) -> None:
        self._index = index
        self._values: list[Any] = []
        unmet = [number for number, requires in index.requirements() if not holds(requires)]
        # Those of which a version can be had here.
        usable = f"versions WHERE floats AND requirement NOT {self._one_of(unmet)}"
        own = len(self._values)
        conditions = "".join(f" AND {text}" for text in self._conditions(query, hidden))
        self._rows = f"(SELECT *, max(place) FROM {usable} GROUP BY name) WHERE 1{conditions}"  # noqa: S608 - values stand apart
        self._others = (
            f"versions WHERE newest AND name NOT IN (SELECT name FROM {usable}){conditions}"  # noqa: S608
        )
        self._has_others = bool(unmet)
        if not unmet:  # as nearly everywhere: then the index knows the newest
            self._rows = f"versions WHERE newest{conditions}"
            del self._values[:own]

    def count(self) -> int:
        """How many there are."""
        return self._index.count(self._rows, self._values)

    def unusable(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield how many variants more the query takes in for which the same distributions are not there, and these."""
        if self._has_others:
            yield from self._index.count_by_requirements(self._others, self._values)

    def sorted_by(self, key: str) -> Iterator[Listing]:
        """Yield them by name (`ref`), by their number of parameters, or by a figure with the highest first.

        Those that lack what they are sorted by come last.
        """
        if key == "ref":
            return self._index.select(self._rows, "name", self._values)
        if key == "params":
            return self._index.select(self._rows, "params IS NULL, params, name", self._values)
        figure = "(SELECT mean FROM figures WHERE version = id AND metric = ?)"
        return self._index.select(self._rows, f"{figure} DESC, name", [*self._values, key])

    def _conditions(self, query: Query, hidden: Collection[str]) -> Iterator[str]:
        if hidden:
            yield f"name NOT {self._one_of(hidden)}"
        if "[" in query.pattern:  # SQLite's GLOB has another sign for "none of these"
            names = [name for name in self._index.names() if fnmatchcase(name, query.pattern)]
            yield f"name {self._one_of(names)}"
        elif query.pattern != "*":
            yield f"name GLOB {self._mark(query.pattern)}"
        if query.asks_for_components:
            fitting = [
                number
                for number, components, kind in self._index.compositions()
                if query.takes(components, kind)
            ]
            yield f"composition {self._one_of(fitting)}"
        if query.max_params is not None:
            yield f"params <= {self._mark(max(-1, min(query.max_params, _LARGEST)))}"
        if query.condition is not None:
            metric, comparison, bound = query.condition
            figures = f"metric = {self._mark(metric)}"
            if comparison is not None:
                figures += f" AND mean {comparison} {self._mark(bound)}"
            yield f"id IN (SELECT version FROM figures WHERE {figures})"  # noqa: S608 - values stand apart

    def _one_of(self, values: Collection[object]) -> str:
        self._values.append(json.dumps(list(values)))
        return _ONE_OF

    def _mark(self, value: object) -> str:
        self._values.append(value)
        return "?"

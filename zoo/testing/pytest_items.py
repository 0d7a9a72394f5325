"""The tests that the pytest plug-in adds: one for each property of a component."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from zoo.errors import ZooError
from zoo.plugins import catalog
from zoo.testing.checking import (
    NotConforming,
    describe_failure,
    exceptions_of,
    judge,
    resolve,
)
from zoo.testing.examination import Examination
from zoo.testing.outcomes import Failed, Skipped
from zoo.testing.properties import Property


class ComponentNode(pytest.Collector):
    """A component under test; its properties are its tests."""

    examination: Examination
    declared: dict[str, str]

    def collect(self) -> Iterator[PropertyTest]:
        """One test a property."""
        for one in self.examination.properties:
            test = PropertyTest.from_parent(self, name=one.name)
            test.promised = one
            yield test


class PropertyTest(pytest.Item):
    """One property of one component."""

    parent: ComponentNode
    promised: Property

    def runtest(self) -> None:
        """Check it; a skip says why."""
        outcome = judge(self.parent.examination, self.promised.name, self.parent.declared)
        if isinstance(outcome, Skipped):
            pytest.skip(outcome.reason)
        if isinstance(outcome, Failed):
            title = self.parent.examination.component.title
            raise NotConforming(f"{title}: {describe_failure(self.promised.name, outcome)}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The message alone: the kit's own frames say nothing to a plug-in's author."""
        if isinstance(excinfo.value, NotConforming):
            return f"{excinfo.value}\n    promised: {self.promised.description}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where it is, for reports."""
        return self.path, None, f"{self.parent.name}: {self.promised.name}"


def collect(session: pytest.Session, config: pytest.Config) -> list[pytest.Item]:
    """Return the tests that the options ask for.

    Raises:
        pytest.UsageError: Nobody offers a component of that name.
    """
    items: list[pytest.Item] = []
    for name in _names(config):
        try:
            component, options = resolve(name)
            declared = exceptions_of(component)
        except ZooError as error:
            raise pytest.UsageError(str(error)) from error
        title = name if "/" in name else component.title
        node = ComponentNode.from_parent(session, name=title, nodeid=title)
        node.examination = Examination(component, options, slow=config.getoption("zoo_slow"))
        node.declared = declared
        items += node.collect()
    return items


def _names(config: pytest.Config) -> list[str]:
    """The names asked for, each once. A name space (`timm/*`) has none of its own to check."""
    names = list(config.getoption("zoo_component"))
    if config.getoption("zoo_all"):
        names += [one.title for one in catalog().components() if not one.name.endswith("/*")]
    return list(dict.fromkeys(names))

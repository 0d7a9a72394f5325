"""Checks the properties of one component, each once, and keeps what came out."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from zoo.component import Component
from zoo.testing.outcomes import Failed, Outcome, Passed, Skipped
from zoo.testing.properties import PROPERTIES, Property
from zoo.testing.subject import Subject, subjects

_BY_NAME = {one.name: one for one in PROPERTIES}


class Examination:
    """One component under test.

    Args:
        component: What to test; its kind is set.
        options: Options to build it with.
        slow: Whether to check what takes long, too.
    """

    def __init__(
        self, component: Component, options: Mapping[str, Any] | None = None, *, slow: bool = False
    ) -> None:
        self.component = component
        self.slow = slow
        self.properties = tuple(one for one in PROPERTIES if component.kind in one.kinds)
        self._options = dict(options or {})
        self._subjects: list[Subject] | None = None
        self._found: dict[tuple[str, int], Outcome] = {}

    def outcome(self, name: str) -> Outcome:
        """Check one property for every number of dimensions; the first failure is the outcome."""
        wanted = _BY_NAME[name]
        try:
            if self._subjects is None:
                with torch.random.fork_rng(devices=[]):
                    self._subjects = subjects(self.component, self._options)
        except Exception as error:
            return Failed(wanted.description, _said(error)) if name == "built" else _unmet("built")
        found = [(subject, self._check(wanted, subject)) for subject in self._subjects]
        for subject, outcome in found:
            if isinstance(outcome, Failed) and len(found) > 1:
                return Failed(outcome.expected, f"{outcome.seen} (ndim {subject.ndim})")
        for kind in (Failed, Passed, Skipped):
            for _, outcome in found:
                if isinstance(outcome, kind):
                    return outcome
        return Skipped("the component works for no number of dimensions")

    def _check(self, wanted: Property, subject: Subject) -> Outcome:
        key = (wanted.name, subject.ndim)
        if key not in self._found:
            self._found[key] = self._checked(wanted, subject)
        return self._found[key]

    def _checked(self, wanted: Property, subject: Subject) -> Outcome:
        if wanted.slow and not self.slow:
            return Skipped("slow; asked for with slow=True, or --zoo-slow")
        for name in wanted.needs:
            before = _BY_NAME[name]
            if subject.kind in before.kinds and not _holds(self._check(before, subject)):
                return _unmet(name)
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with torch.enable_grad():
                    return wanted.function(subject)
            except Exception as error:
                return Failed(wanted.description, _said(error))


def _holds(outcome: Outcome) -> bool:
    # What was skipped because there is nothing to check (no parameters, no mask) stands in nobody's way.
    return isinstance(outcome, Passed) or (
        isinstance(outcome, Skipped) and not outcome.reason.startswith("says nothing")
    )


def _unmet(name: str) -> Skipped:
    return Skipped(f"says nothing while `{name}` does not hold")


def _said(error: Exception) -> str:
    """The error in one line, and where in the component's own files it came from."""
    first = str(error).strip().partition("\n")[0]
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/torch/" not in frame.filename and "/zoo/" not in frame.filename
    ]
    at = f", from {own[-1].filename.rpartition('/')[2]} line {own[-1].lineno}" if own else ""
    return f"{type(error).__name__}: {first[:300]}{at}"

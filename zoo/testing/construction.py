"""How a component is built: its width first, then options by keyword, none misspelt, none reserved."""

from __future__ import annotations

import inspect

from torch import nn

from zoo.errors import InvalidValue
from zoo.testing.outcomes import Failed, Outcome, Passed
from zoo.testing.subject import Subject, difference

RESERVED = ("name", "slot", "stages", "blocks", "start", "pretrained", "dropout", "hidden")
NOT_OPTIONS = ("ndim", "architecture")  # given by the core


def built(subject: Subject) -> Outcome:
    """Build it."""
    module = subject.make()
    if isinstance(module, nn.Module):
        return Passed()
    return Failed("an nn.Module", f"{type(module).__name__}")


def keyword_options(subject: Subject) -> Outcome:
    """Read the signature."""
    first, *rest = inspect.signature(subject.component.load()).parameters.values()
    width = "in_channels" if subject.kind == "backbone" else "channels"
    if first.name != width:
        return Failed(f"{width!r} as first parameter", repr(first.name))
    for option in rest:
        if option.kind is option.VAR_KEYWORD:
            continue  # seen by `misspelt_options`
        if option.kind is not option.KEYWORD_ONLY:
            return Failed(
                f"{option.name!r} to be keyword-only (after a `*`)", option.kind.description
            )
        if option.default is option.empty and option.name not in NOT_OPTIONS:
            return Failed(f"a default for {option.name!r}", "none")
    return Passed()


def default_options(subject: Subject) -> Outcome:
    """Give each option its default, and compare."""
    x, expected = subject.draw(), None
    for name, option in _options(subject).items():
        if name in subject.options or option.default is option.empty:
            continue
        expected = subject.run(subject.build(), x) if expected is None else expected
        try:
            found = subject.run(subject.build(**{name: option.default}), x)
        except Exception as error:
            return Failed(
                f"{name}={option.default!r}, its default, to be accepted",
                f"{type(error).__name__}: {error}",
            )
        if gap := difference(found, expected):
            return Failed(f"the same output with {name}={option.default!r}, its default", gap)
    return Passed()


def misspelt_options(subject: Subject) -> Outcome:
    """Give options with a letter too few, and one that nobody has."""
    known = inspect.signature(subject.component.load()).parameters
    wrong = ["no_such_option", *(name[:-1] for name in _options(subject) if name[:-1] not in known)]
    for name in wrong:
        if not name.isidentifier():
            continue
        try:
            subject.make(**{name: 1})
        except (TypeError, InvalidValue):
            continue
        return Failed(f"{name}=1 to be refused (TypeError or InvalidValue)", "it is accepted")
    return Passed()


def reserved_options(subject: Subject) -> Outcome:
    """Look for names that a spec keeps for itself."""
    taken = [name for name in RESERVED if name in _options(subject)]
    if not taken:
        return Passed()
    return Failed(f"no option called {', '.join(RESERVED)}", f"the option {taken[0]!r}")


def _options(subject: Subject) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(subject.component.load()).parameters.values()
    return {
        option.name: option
        for option in parameters
        if option.kind is option.KEYWORD_ONLY and option.name not in NOT_OPTIONS
    }

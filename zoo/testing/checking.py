"""`check` and its kin: all properties of one component, and one readable error for what fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.component import KINDS, Component
from zoo.errors import InvalidValue, UnknownName, near_misses
from zoo.plugins import Catalog
from zoo.plugins import catalog as default_catalog
from zoo.testing.examination import Examination
from zoo.testing.outcomes import Failed, Outcome, Passed, Skipped
from zoo.testing.properties import NAMES, SLOW

if TYPE_CHECKING:
    from torch import nn

    Given = str | Component | type[nn.Module]


class NotConforming(AssertionError):
    """A component does not keep its contract: a failed test, not an error of the library."""


def check(
    component: Given,
    *,
    except_: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    slow: bool = False,
    catalog: Catalog | None = None,
) -> None:
    """Check every property that a component of its kind promises.

    Args:
        component: A name (`"attention/se"`, or `"se"` where one kind has it), a `Component`, or a class.
        except_: Properties that it breaks on purpose, each with the reason. Its class may list them as
            well, in an attribute `conformance_exceptions`. One that is not needed fails.
        options: Options to build it with; by default its own.
        slow: Check what takes long, too: torch.compile, and ONNX where the extra `onnx` is installed.
        catalog: Where to look names up; by default in that of this process.

    Raises:
        NotConforming: A property fails, or an exception is not needed. The message lists all of them.
        InvalidValue: An exception has no reason.
        UnknownName: Nobody offers that component, or there is no such property.
    """
    found, space = resolve(component, catalog=catalog)
    _check(found, except_, {**space, **(options or {})}, slow=slow)


def check_attention(
    component: Given,
    *,
    except_: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    slow: bool = False,
    catalog: Catalog | None = None,
) -> None:
    """Check an attention; arguments and errors as for `check`."""
    found, _ = resolve(component, kind="attention", catalog=catalog)
    _check(found, except_, options, slow=slow)


def check_head(
    component: Given,
    *,
    except_: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    slow: bool = False,
    catalog: Catalog | None = None,
) -> None:
    """Check a pooling head; arguments and errors as for `check`."""
    found, _ = resolve(component, kind="head", catalog=catalog)
    _check(found, except_, options, slow=slow)


def check_backbone(
    component: Given,
    *,
    except_: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    slow: bool = False,
    catalog: Catalog | None = None,
) -> None:
    """Check a backbone; arguments and errors as for `check`."""
    found, space = resolve(component, kind="backbone", catalog=catalog)
    _check(found, except_, {**space, **(options or {})}, slow=slow)


def resolve(
    given: Given, *, kind: str | None = None, catalog: Catalog | None = None
) -> tuple[Component, dict[str, Any]]:
    """Return the component that is meant, with its kind, and the option that its name holds.

    Raises:
        UnknownName: Nobody offers it, or several kinds do.
        InvalidValue: What is given is neither a name, a component nor a class.
    """
    if isinstance(given, str):
        return _named(given, kind, catalog or default_catalog())
    if isinstance(given, Component):
        fields = {**vars(given), "kind": kind or given.kind or _kind_of(given.load())}
        # Of no distribution: so a catalog of the kit's own takes it.
        return Component(**{**fields, "distribution": None, "version": None}), {}
    if not isinstance(given, type):
        raise InvalidValue(f"{given!r:.80} is neither a name, a zoo.Component nor a class.")
    kind = kind or _kind_of(given)
    mask = "mask" in _forward_parameters(given)
    return Component(name="under_test", target=given, kind=kind, mask=mask, ndims=_ndims(given)), {}


def judge(examination: Examination, name: str, except_: Mapping[str, str]) -> Outcome:
    """The outcome of one property, with the declared exceptions taken into account."""
    outcome = examination.outcome(name)
    if name not in except_:
        return outcome
    if isinstance(outcome, Failed):
        return Skipped(f"declared exception: {except_[name]}")
    if isinstance(outcome, Skipped) and name in SLOW:
        return outcome  # whether it is needed is found out when it is asked for
    seen = "it holds" if isinstance(outcome, Passed) else f"it is not checked: {outcome.reason}"
    return Failed(f"the declared exception ({except_[name]}) to be needed; remove it", seen)


def exceptions_of(component: Component, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The exceptions that a class declares, and those of one call.

    Raises:
        UnknownName: There is no such property.
        InvalidValue: One has no reason.
    """
    declared = {**getattr(component.load(), "conformance_exceptions", {}), **(more or {})}
    for name, reason in declared.items():
        if name not in NAMES:
            raise UnknownName(
                f"There is no property {name!r} to except. {near_misses(name, NAMES)}"
            )
        if not isinstance(reason, str) or not reason.strip():
            raise InvalidValue(f"The exception {name!r} has no reason; say why, in a sentence.")
    return declared


def describe_failure(name: str, failed: Failed) -> str:
    """One failure, for people."""
    return f"{name}\n    expected: {failed.expected}\n    seen:     {failed.seen}"


def _check(
    component: Component,
    except_: Mapping[str, str] | None,
    options: Mapping[str, Any] | None,
    *,
    slow: bool,
) -> None:
    declared = exceptions_of(component, except_)
    examination = Examination(component, options, slow=slow)
    outcomes = {one.name: judge(examination, one.name, declared) for one in examination.properties}
    failed = {name: one for name, one in outcomes.items() if isinstance(one, Failed)}
    if not failed:
        return
    shown = "\n".join(f"  {describe_failure(name, one)}" for name, one in failed.items())
    passed = sum(isinstance(one, Passed) for one in outcomes.values())
    raise NotConforming(
        f"{component.title} breaks {len(failed)} of {len(outcomes)} properties "
        f"({passed} hold, {len(outcomes) - passed - len(failed)} were not checked):\n{shown}"
    )


def _named(name: str, kind: str | None, offers: Catalog) -> tuple[Component, dict[str, Any]]:
    first, slash, rest = name.partition("/")
    if slash and first in KINDS:
        kind, name = first, rest
    kinds = [kind] if kind else [k for k in KINDS if _offered(offers, k, name)] or ["attention"]
    if len(kinds) > 1:
        raise UnknownName(
            f"{name!r} is of several kinds; say {kinds[0]}/{name} or {kinds[1]}/{name}."
        )
    component, _ = resolve(offers.component(kinds[0], name), kind=kinds[0])
    space = {"architecture": name.partition("/")[2]} if component.name.endswith("/*") else {}
    return component, space


def _offered(offers: Catalog, kind: str, name: str) -> bool:
    try:
        offers.component(kind, name)
    except UnknownName:
        return False
    return True


def _kind_of(cls: Any) -> str:
    if hasattr(cls, "forward_stages") or hasattr(cls, "slots"):
        return "backbone"
    import torch

    try:
        with torch.random.fork_rng(devices=[]):
            return "head" if hasattr(cls(16), "out_features") else "attention"
    except Exception:
        return "attention"


def _ndims(cls: Any) -> tuple[int, ...]:
    fixed = getattr(cls, "ndims", None) or getattr(cls, "ndim", None)
    return (
        tuple(fixed) if isinstance(fixed, tuple | list) else (fixed,) if fixed in (1, 2) else (1, 2)
    )


def _forward_parameters(cls: Any) -> list[str]:
    import inspect

    return list(inspect.signature(cls.forward).parameters)

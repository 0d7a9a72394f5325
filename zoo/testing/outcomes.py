"""What came out of checking one property: it holds, it does not, or it could not be asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Passed:
    """The property holds."""


@dataclass(frozen=True)
class Failed:
    """The property does not hold.

    Attributes:
        expected: What the contract asks for.
        seen: What was found instead.
    """

    expected: str
    seen: str


@dataclass(frozen=True)
class Skipped:
    """The property was not checked.

    Attributes:
        reason: Why not.
    """

    reason: str


Outcome = Passed | Failed | Skipped

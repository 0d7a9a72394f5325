"""What data a user asks for, and how they are to be read and divided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

from zoo.errors import InvalidValue

_Unreadable = Literal["refuse", "skip"]
_Leaks = Literal["report", "drop", "refuse"]

# What can be done with samples that are amiss.
CHOICES: dict[str, tuple[str, ...]] = {
    "unreadable": get_args(_Unreadable),
    "leaks": get_args(_Leaks),
}


class Treatment(Struct, frozen=True, kw_only=True):
    """How data are treated and divided; figures depend on it as on the data themselves.

    Args:
        unreadable: What to do with samples that cannot be read.
        leaks: What to do with samples of train that are in validation or test, too.
        split_seed: Of the splits that are made where the data bring none.
    """

    unreadable: _Unreadable = "refuse"
    leaks: _Leaks = "report"
    split_seed: int = 0


class DataRequest(Treatment, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which data, and how.

    Args:
        what: Name of a known data set, or the path of a folder or file.
        root: For a known data set, and none else, the folder that its files are in.
        text: For tables, the column with the texts.
        label: For tables, the column with the labels.
        hold_out: What is kept for the test alone, `speaker=jackson` or `fold=3`.
    """

    what: str
    root: str | None = None
    text: str | None = None
    label: str | None = None
    hold_out: str | None = None

    @property
    def held_out(self) -> tuple[str, str] | None:
        """What is held out, as (key, value).

        Raises:
            InvalidValue: It is not of the form KEY=VALUE.
        """
        if self.hold_out is None:
            return None
        key, sign, value = self.hold_out.partition("=")
        if not (key and sign and value):
            raise InvalidValue(
                f"--hold-out {self.hold_out!r} is not of the form KEY=VALUE, e.g. speaker=jackson."
            )
        return key, value

    def to_data(self) -> dict[str, Any]:
        """The request as plain data."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data


PLANNED = Treatment.__struct_fields__  # what is held out is a part of the data's name
# What a figure depends on beside the data themselves, and what it is where nothing is said.
USUAL: dict[str, Any] = {
    "hold_out": None,
    **dict(zip(PLANNED, Treatment.__struct_defaults__, strict=True)),
}


def told(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a request, as plain data, says of how data are treated and divided."""
    return {name: said[name] for name in USUAL if said.get(name) is not None}


def unusual(said: Mapping[str, Any]) -> dict[str, Any]:
    """What of that is out of the ordinary."""
    return {name: value for name, value in told(said).items() if value != USUAL[name]}

"""What data a user asks for, and how they are to be read and divided."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from zoo.errors import InvalidValue


class DataRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which data, and how.

    Args:
        what: Name of a known data set, or the path of a folder or file.
        root: For a known data set, and none else, the folder that its files are in.
        text: For tables, the column with the texts.
        label: For tables, the column with the labels.
        hold_out: What is kept for the test alone, `speaker=jackson` or `fold=3`.
        unreadable: What to do with samples that cannot be read.
        leaks: What to do with samples of train that are in validation or test, too.
        split_seed: Of the splits that are made where the data bring none.
    """

    what: str
    root: str | None = None
    text: str | None = None
    label: str | None = None
    hold_out: str | None = None
    unreadable: Literal["refuse", "skip"] = "refuse"
    leaks: Literal["report", "drop", "refuse"] = "report"
    split_seed: int = 0

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

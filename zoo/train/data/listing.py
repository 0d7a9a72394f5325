"""A data set before it is read: its samples by name, with their labels and perhaps their splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

Kind = Literal["image", "audio", "text"]
SPLITS = ("train", "validation", "test")


class Item(NamedTuple):
    """One sample.

    Attributes:
        name: What it is called in messages, e.g. its path within the folder.
        label: Its class.
        content: A file or its bytes; of a text, the text itself.
        split: `train`, `validation` or `test`; None where the data do not say.
    """

    name: str
    label: str
    content: Path | bytes | str
    split: str | None = None

    def read(self) -> Any:
        """What a reader of its kind takes: the bytes of the file, or the text.

        Raises:
            OSError: The file cannot be read.
        """
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content


@dataclass(frozen=True)
class Listing:
    """The samples of a data set.

    Attributes:
        name: Of the data set.
        kind: What its samples are.
        items: The samples.
        labels: The classes in order; empty where they follow from the samples.
        notes: What a user should know.
    """

    name: str
    kind: Kind
    items: Sequence[Item]
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

"""A data set before it is read: its samples by name, with their labels and perhaps their splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from zoo.errors import InvalidValue

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


def classes_of(listing: Listing) -> tuple[str, ...]:
    """The classes of a data set in order: as it says, else by number, else by alphabet.

    Raises:
        InvalidValue: There is no sample, one class only, or a sample of another class.
    """
    found = {item.label for item in listing.items}
    if not listing.items:
        raise InvalidValue(f"{listing.name} holds no samples.")
    for item in listing.items:
        if listing.labels and item.label not in listing.labels:
            raise InvalidValue(
                f"{listing.name}: {item.name} is of class {item.label!r}, which is none of "
                f"{', '.join(listing.labels)}."
            )
    if len(found) < 2 and len(listing.labels) < 2:
        raise InvalidValue(
            f"{listing.name} has one class only, {min(found)!r}; a model tells at least two apart."
        )
    if listing.labels:
        return listing.labels
    return tuple(sorted(found, key=_by_number))


def _by_number(label: str) -> tuple[int, int, str]:
    number = label.isascii() and label.isdigit()
    return (0, int(label), label) if number else (1, 0, label)

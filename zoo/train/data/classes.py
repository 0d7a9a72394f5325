"""The classes of data, and how they come to be those of a model that there is: by their names.

A model's classes keep their order, whatever that of the data is, and data may have samples of some of them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from zoo.errors import InvalidValue, are, counted, some
from zoo.train.data.dataset import Data
from zoo.train.data.listing import Listing


def classes_of(listing: Listing, known: Sequence[str] | None = None) -> tuple[str, ...]:
    """The classes of a data set in order: as a model has them, else as the data say, by number, by alphabet.

    Args:
        listing: The data set.
        known: The classes of a model that there is, each with samples or not.

    Raises:
        InvalidValue: There is no sample, a sample of another class, or one class only and no model.
    """
    if not listing.items:
        raise InvalidValue(f"{listing.name} holds no samples.")
    for labels, whose in ((listing.labels, "its"), (known, "the model's")):
        if not labels:
            continue
        there = set(labels)
        if strange := [item for item in listing.items if item.label not in there]:
            names = some([item.name for item in strange])
            raise _unknown(
                f"{listing.name}: {counted(len(strange), 'sample')} ({names}) {are(len(strange))}",
                {item.label for item in strange},
                f"{whose} classes are {some(labels)}",
            )
    own = _own(listing)
    if known is None and len(own) < 2:
        raise InvalidValue(
            f"{listing.name} has one class only, {own[0]!r}; a model tells at least two apart."
        )
    return own if known is None else tuple(known)


def by_name(data: Data, known: Sequence[str]) -> Data:
    """Data that were read with classes of their own, numbered as a model has these.

    Raises:
        InvalidValue: It does not know one of them.
    """
    strange = set(data.labels) - set(known)
    if strange:
        raise _unknown(
            f"{data.name}: there are samples", strange, f"the model's classes are {some(known)}"
        )
    numbers = torch.tensor([known.index(label) for label in data.labels])
    train, validation, test = (
        replace(part, labels=numbers[part.labels])
        for part in (data.train, data.validation, data.test)
    )
    notes = (*data.notes, *class_notes(data.labels, known))
    return replace(
        data, labels=tuple(known), train=train, validation=validation, test=test, notes=notes
    )


def classes_there(listing: Listing) -> tuple[str, ...]:
    """The classes that there are samples of, in the order of the data."""
    there = {item.label for item in listing.items}
    return tuple(label for label in _own(listing) if label in there)


def class_notes(there: Sequence[str], known: Sequence[str]) -> list[str]:
    """What to tell of data whose classes are not just those of a model.

    Args:
        there: The classes of the data, in their order.
        known: Those of the model.
    """
    if tuple(there) == tuple(known):
        return []
    if len(there) == len(known):
        return ["the model has these classes in another order; they are matched by name"]
    some_of = f"{len(there)} of the model's {len(known)} classes"
    return [f"there are samples of {some_of}, which are matched by name: {some(there)}"]


def _own(listing: Listing) -> tuple[str, ...]:
    return listing.labels or tuple(sorted({item.label for item in listing.items}, key=_by_number))


def _by_number(label: str) -> tuple[int, int, str]:
    number = label.isascii() and label.isdigit()
    return (0, int(label), label) if number else (1, 0, label)


def _unknown(what: str, strange: set[str], classes: str) -> InvalidValue:
    names = some([repr(label) for label in sorted(strange, key=_by_number)])
    plural = "class" if len(strange) == 1 else "classes"
    return InvalidValue(
        f"{what} of the {plural} {names}, but {classes}. Call classes by these names, and leave out samples of others."
    )

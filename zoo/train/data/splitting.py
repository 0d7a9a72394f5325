"""Dividing samples into train, validation and test, and seeing that none is in two of them.

A split that the data lack is made from train: a tenth of each class, at least one sample, drawn with a
seed. Samples of equal content stay together, so that no made split shares any with another.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from zoo.errors import InvalidValue
from zoo.train.data.listing import SPLITS, some
from zoo.train.data.request import DataRequest

SHARE = 0.1


class Entry(NamedTuple):
    """What dividing needs to know of a sample: its name, class, the digest of its content, its split."""

    name: str
    label: str
    digest: str
    split: str | None


class Division(NamedTuple):
    """Numbers of the samples of each split, in order; the splits that were made; and what to tell."""

    parts: dict[str, list[int]]
    made: tuple[str, ...]
    notes: tuple[str, ...]


def divide(entries: Sequence[Entry], request: DataRequest, *, data: str) -> Division:
    """Divide samples as they say, make the splits that are missing, and deal with leaks.

    Args:
        entries: The samples.
        request: Seed, and what to do with leaks.
        data: Name of the data, for messages.

    Raises:
        InvalidValue: A class has too few samples to be divided, a split is empty, or leaks are refused.
    """
    parts: dict[str, list[int]] = {split: [] for split in SPLITS}
    for number, entry in enumerate(entries):
        parts[entry.split or "train"].append(number)
    made = tuple(split for split in ("validation", "test") if not parts[split])
    if made:
        _draw(entries, parts, made, request.split_seed, data)
    notes = [*_leaks(entries, parts, request, data), *_contradictions(entries, data)]
    for split, numbers in parts.items():
        if not numbers:
            raise InvalidValue(f"{data}: the {split} split is empty.")
    return Division(parts, made, tuple(notes))


def _draw(
    entries: Sequence[Entry],
    parts: dict[str, list[int]],
    made: Sequence[str],
    seed: int,
    data: str,
) -> None:
    """Move a share of each class of train into the splits to be made."""
    classes: dict[str, list[int]] = {}
    for number in parts["train"]:
        classes.setdefault(entries[number].label, []).append(number)
    generator = random.Random(seed)  # noqa: S311 - splits are no secrets
    goes: dict[str, str] = {}  # by content
    for label in sorted(classes):
        contents = sorted({entries[number].digest for number in classes[label]})
        if len(contents) < len(made) + 1:
            raise InvalidValue(
                f"{data}: class {label!r} has {len(contents)} different samples, too few to be divided into "
                f"train and {' and '.join(made)}. Give more, or put the splits into folders of their own."
            )
        generator.shuffle(contents)
        size = max(1, round(SHARE * len(contents)))
        free = [content for content in contents if content not in goes]
        for split in made:
            have = sum(goes.get(content) == split for content in contents)
            for content in free[: max(0, size - have)]:
                goes[content] = split
            free = [content for content in free if content not in goes]
        goes.update(dict.fromkeys(free, "train"))
    train, parts["train"] = parts["train"], []
    for number in train:
        parts[goes[entries[number].digest]].append(number)


def _leaks(
    entries: Sequence[Entry], parts: dict[str, list[int]], request: DataRequest, data: str
) -> list[str]:
    """Find samples whose content is in a later split, too; drop them from the earlier one if so asked."""
    notes = []
    for at, split in enumerate(SPLITS[:-1]):
        held_out = {entries[n].digest for other in SPLITS[at + 1 :] for n in parts[other]}
        leaks = [number for number in parts[split] if entries[number].digest in held_out]
        if not leaks:
            continue
        later = " or ".join(SPLITS[at + 1 :])
        found = f"{len(leaks)} samples of {split} are in {later}, too"
        names = some([entries[number].name for number in leaks])
        if request.leaks == "refuse":
            raise InvalidValue(f"{data}: {found}: {names}. Drop them with --leaks drop.")
        if request.leaks == "drop":
            parts[split] = [n for n in parts[split] if entries[n].digest not in held_out]
            found += ", and are left out of it"
        notes.append(f"{found}: {names}")
    return notes


def _contradictions(entries: Sequence[Entry], data: str) -> list[str]:
    labels: dict[str, set[str]] = {}
    for entry in entries:
        labels.setdefault(entry.digest, set()).add(entry.label)
    several = {digest for digest, own in labels.items() if len(own) > 1}
    names = [entry.name for entry in entries if entry.digest in several]
    if not names:
        return []
    return [f"{len(names)} samples of {data} have equals with another label: {some(names)}"]

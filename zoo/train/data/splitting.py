"""Dividing samples into train, validation and test, and seeing that none is in two of them.

A split that the data lack is made from train: about a tenth of each class, at least one sample. Where a sample
goes depends on its content and a seed, not on the samples beside it, so that copies stay together, and samples that
are added later bring none of train into the test of a model that was trained before (classes of a handful aside).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from zoo.errors import InvalidValue, are, counted, some
from zoo.train.data.listing import SPLITS
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
    if not parts["train"] and request.held_out is None:
        there = " and ".join(split for split in SPLITS if parts[split])
        raise InvalidValue(
            f"{data} has the splits of a data set, {there}, but no folder 'train'. To measure a model on all that is "
            "there: `zoo evaluate --split all`."
        )
    made = tuple(split for split in ("validation", "test") if not parts[split])
    if made:
        _draw(entries, parts, made, request.split_seed, data)
    notes = [*_leaks(entries, parts, request, data), *_contradictions(entries, data)]
    for split, numbers in parts.items():
        if not numbers:
            raise InvalidValue(f"{data}: the {split} split is empty.")
    notes += _scarce(entries, parts)
    return Division(parts, made, tuple(notes))


def undivided(entries: Sequence[Entry]) -> Division:
    """All samples as they are, together in train."""
    parts: dict[str, list[int]] = {split: [] for split in SPLITS}
    parts["train"] = list(range(len(entries)))
    return Division(parts, (), ())


def _draw(
    entries: Sequence[Entry],
    parts: dict[str, list[int]],
    made: Sequence[str],
    seed: int,
    data: str,
) -> None:
    """Move a share of each class of train into the splits to be made."""
    classes: dict[str, set[str]] = {}
    for number in parts["train"]:
        classes.setdefault(entries[number].label, set()).add(entries[number].digest)
    goes: dict[str, str] = {}  # by content
    for label, contents in sorted(classes.items()):
        if len(contents) < len(made) + 1:
            raise InvalidValue(
                f"{data}: class {label!r} has {counted(len(contents), 'different sample')}, too few to be divided into "
                f"train and {' and '.join(made)}. Give more, or put the splits into folders of their own."
            )
    for left, split in reversed(list(enumerate(made, start=1))):
        for _, contents in sorted(classes.items()):
            for content in _chosen(contents, goes, split, seed=seed, leave=left):
                goes[content] = split
    train, parts["train"] = parts["train"], []
    for number in train:
        parts[goes.get(entries[number].digest, "train")].append(number)


def _chosen(
    contents: set[str], goes: dict[str, str], split: str, *, seed: int, leave: int
) -> list[str]:
    """Which contents of a class a split gets: those whose place is below the share, else the first of all.

    At least `leave` are left for the other splits.
    """
    places = {content: _place(content, split, seed) for content in contents if content not in goes}
    ordered = sorted(places, key=places.__getitem__)
    below = sum(place < SHARE for place in places.values())
    if not below and split not in map(goes.get, contents):
        below = 1
    return ordered[: max(0, min(below, len(ordered) - leave))]


def _place(content: str, split: str, seed: int) -> float:
    """A number in [0, 1) for a content: evenly spread, and its own for each seed and split."""
    digest = hashlib.sha256(f"{seed} {split} {content}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


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
        found = f"{counted(len(leaks), 'sample')} of {split} {are(len(leaks))} in {later}, too"
        names = some([entries[number].name for number in leaks])
        if request.leaks == "refuse":
            raise InvalidValue(f"{data}: {found}: {names}. Drop them with --leaks drop.")
        if request.leaks == "drop":
            kept = [n for n in parts[split] if entries[n].digest not in held_out]
            _check_left(entries, parts[split], kept, split, f"{data}: {found}: {names}")
            parts[split] = kept
            found += f", and {are(len(leaks))} left out of it"
        notes.append(f"{found}: {names}")
    return notes


def _check_left(
    entries: Sequence[Entry], before: list[int], kept: list[int], split: str, found: str
) -> None:
    """See that a split whose leaks are dropped has samples left, and train some of each class."""
    gone = {entries[n].label for n in before} - {entries[n].label for n in kept}
    if kept and (split != "train" or not gone):
        return
    lost = f"no sample of {some(sorted(map(repr, gone)))}" if kept else "nothing"
    raise InvalidValue(
        f"{found}. --leaks drop leaves {lost} in {split}, which had {counted(len(before), 'sample')}. Take the copies out "
        "of the later split instead, or say --leaks report, which keeps both."
    )


def _scarce(entries: Sequence[Entry], parts: dict[str, list[int]]) -> list[str]:
    """Name the classes of which there is next to nothing to measure on."""
    labels = sorted({entry.label for entry in entries})
    notes = []
    for split in SPLITS[1:]:
        sizes = Counter(entries[number].label for number in parts[split])
        few = [label for label in labels if sizes[label] < 2]
        if few:
            notes.append(
                f"{split} has one sample or none of {len(few)} of the {counted(len(labels), 'class', 'classes')}, so "
                f"that its figures say little of them: {some(few)}"
            )
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

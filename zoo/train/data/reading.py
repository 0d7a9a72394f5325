"""From the listing of a data set to its samples in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from zoo.errors import InvalidValue
from zoo.spec import Input
from zoo.train.data.dataset import Data, check_kind
from zoo.train.data.listing import SPLITS, Item, Listing, classes_of, some
from zoo.train.data.request import DataRequest
from zoo.train.data.splits import ImageSplit, Split
from zoo.train.data.splitting import Entry, divide
from zoo.train.recipe import VocabularyRule


class Finished(NamedTuple):
    """The splits of a data set, the input block that fits them, and for texts the vocabulary."""

    splits: dict[str, Split]
    source: Input
    vocabulary: tuple[str, ...] = ()


class Reader(Protocol):
    """What reads samples of one kind."""

    notes: list[str]

    def read(self, content: bytes | str, name: str) -> Any:
        """One sample as it is kept, or `InvalidValue` if it cannot be read."""

    def finish(
        self, samples: Sequence[Any], labels: Tensor, parts: Mapping[str, list[int]]
    ) -> Finished:
        """Put the samples of each split together."""


def read_listing(
    listing: Listing,
    request: DataRequest,
    asked: Mapping[str, Any],
    *,
    vocabulary: Sequence[str] | None = None,
    rule: VocabularyRule | None = None,
) -> Data:
    """Read the samples of a data set, divide them, and put them together.

    Args:
        listing: The data set.
        request: How.
        asked: Fields that the input block has already.
        vocabulary: For texts, that of a model that there is; by default it is built from train.
        rule: How it is built.

    Raises:
        InvalidValue: A sample cannot be read and none may be skipped, or the data cannot be divided.
    """
    check_kind(listing.name, listing.kind, asked)
    classes = classes_of(listing)
    reader = _reader(listing, asked, vocabulary, rule or VocabularyRule())
    items, samples, digests, notes = _read_all(listing, reader, request)
    left = {item.label for item in items}
    for label in sorted({item.label for item in listing.items} - left):
        raise InvalidValue(f"{listing.name}: no sample of class {label!r} can be read.")
    entries = [
        Entry(item.name, item.label, digest, item.split)
        for item, digest in zip(items, digests, strict=True)
    ]
    division = divide(entries, request, data=listing.name)
    for label in sorted(left - {items[number].label for number in division.parts["train"]}):
        raise InvalidValue(f"{listing.name}: train has no sample of class {label!r}.")
    labels = torch.tensor([classes.index(item.label) for item in items])
    finished = reader.finish(samples, labels, division.parts)
    members = {
        split: [items[number].name for number in numbers]
        for split, numbers in division.parts.items()
    }
    return Data(
        listing.name,
        classes,
        finished.source,
        **finished.splits,
        vocabulary=finished.vocabulary,
        notes=(*listing.notes, *reader.notes, *notes, *division.notes),
        members=members if division.made else {},
    )


def checked(data: Data, request: DataRequest) -> Data:
    """Look for samples that are in two splits, in data of arrays that bring their splits.

    Raises:
        InvalidValue: There are some, and they are refused.
    """
    entries = [
        Entry(
            f"{split}/{number}",
            data.labels[label],
            hashlib.sha256(image.tobytes()).hexdigest(),
            split,
        )
        for split in SPLITS
        if isinstance(part := data.split(split), ImageSplit)
        for number, (image, label) in enumerate(
            zip(part.images.numpy(), part.labels.tolist(), strict=True)
        )
    ]
    division = divide(entries, request, data=data.name)
    kept: dict[str, Split] = {}
    first = 0
    for split in SPLITS:
        part = data.split(split)
        if len(division.parts[split]) < len(part) and isinstance(part, ImageSplit):
            chosen = torch.tensor(division.parts[split]) - first
            part = ImageSplit(part.images[chosen], part.labels[chosen])
        first += len(data.split(split))
        kept[split] = part
    notes = (*data.notes, *division.notes)
    train, validation, test = (kept[split] for split in SPLITS)
    return replace(data, train=train, validation=validation, test=test, notes=notes)


def _reader(
    listing: Listing,
    asked: Mapping[str, Any],
    vocabulary: Sequence[str] | None,
    rule: VocabularyRule,
) -> Reader:
    if listing.kind == "image":
        from zoo.train.data.image_reading import ImageReader

        return ImageReader(listing, asked)
    if listing.kind == "audio":
        from zoo.train.data.audio_reading import AudioReader

        return AudioReader(listing, asked)
    from zoo.train.data.text_reading import TextReader

    return TextReader(asked, vocabulary, rule)


def _read_all(
    listing: Listing, reader: Reader, request: DataRequest
) -> tuple[list[Item], list[Any], list[str], list[str]]:
    """Read every sample; return those that can be read with their digests, and what to tell."""

    def read(item: Item) -> tuple[Any, str]:
        try:
            content = item.content
            if isinstance(content, Path):
                content = content.read_bytes()
            told = (
                content
                if isinstance(content, bytes)
                else " ".join(content.casefold().split()).encode()
            )
            return reader.read(content, item.name), hashlib.sha256(told).hexdigest()
        except (InvalidValue, OSError) as error:
            return error, ""

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # decoding lets go of the interpreter
        results = list(pool.map(read, listing.items))
    wrong = [
        (item, sample)
        for item, (sample, _) in zip(listing.items, results, strict=True)
        if isinstance(sample, Exception)
    ]
    notes = []
    if wrong:
        names = some([item.name for item, _ in wrong])
        found = f"{len(wrong)} of {len(listing.items)} samples cannot be read: {names}"
        if request.unreadable == "refuse":
            raise InvalidValue(
                f"{listing.name}: {found}. The first: {wrong[0][1]} Mend or remove them, or leave them out with "
                "--unreadable skip."
            )
        notes.append(f"{found}; they are left out")
    bad = {item.name for item, _ in wrong}
    good = [
        (item, result)
        for item, result in zip(listing.items, results, strict=True)
        if item.name not in bad
    ]
    return (
        [item for item, _ in good],
        [sample for _, (sample, _) in good],
        [digest for _, (_, digest) in good],
        notes,
    )

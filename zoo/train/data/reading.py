"""From the listing of a data set to its samples in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from zoo.errors import InvalidValue, counted, some
from zoo.spec import Input
from zoo.train.data.classes import class_notes, classes_of, classes_there
from zoo.train.data.dataset import Data, check_kind
from zoo.train.data.listing import SPLITS, Item, Listing
from zoo.train.data.request import DataRequest
from zoo.train.data.splits import ImageSplit, Split
from zoo.train.data.splitting import Division, Entry, divide, undivided
from zoo.train.recipe import VocabularyRule

Content_contra = TypeVar("Content_contra", bytes, str, contravariant=True)


class Finished(NamedTuple):
    """The splits of a data set, the input block that fits them, and for texts the vocabulary."""

    splits: dict[str, Split]
    source: Input
    vocabulary: tuple[str, ...] = ()


class Reader(Protocol[Content_contra]):
    """What reads samples of one kind, from the bytes of files or from texts."""

    notes: list[str]

    def read(self, content: Content_contra, name: str) -> Any:
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
    classes: Sequence[str] | None = None,
    rule: VocabularyRule | None = None,
    divided: bool = True,
) -> Data:
    """Read the samples of a data set, divide them, and put them together.

    Args:
        listing: The data set.
        request: How.
        asked: Fields that the input block has already.
        vocabulary: For texts, that of a model that there is; by default it is built from train.
        classes: Those of a model that there is; by default they follow from the samples.
        rule: How a vocabulary is built.
        divided: Whether there are to be splits; else all samples are together in train.

    Raises:
        InvalidValue: A sample cannot be read and none may be skipped, or the data cannot be divided.
    """
    check_kind(listing.name, listing.kind, asked)
    labels = classes_of(listing, classes)
    reader = _reader(listing, asked, vocabulary, rule or VocabularyRule())
    found, notes = _read_all(listing, reader, request)
    left = {one.item.label for one in found}
    for label in sorted({item.label for item in listing.items} - left):
        raise InvalidValue(f"{listing.name}: no sample of class {label!r} can be read.")
    entries = [Entry(one.item.name, one.item.label, one.digest, one.item.split) for one in found]
    division = divide(entries, request, data=listing.name) if divided else undivided(entries)
    for label in sorted(left - {entries[number].label for number in division.parts["train"]}):
        raise InvalidValue(f"{listing.name}: train has no sample of class {label!r}.")
    numbers = torch.tensor([labels.index(entry.label) for entry in entries])
    finished = reader.finish([one.sample for one in found], numbers, division.parts)
    members = {
        split: [entries[number].name for number in numbers]
        for split, numbers in division.parts.items()
    }
    matched = [] if classes is None else class_notes(classes_there(listing), classes)
    return Data(
        listing.name,
        labels,
        finished.source,
        **finished.splits,
        vocabulary=finished.vocabulary,
        notes=(*listing.notes, *matched, *reader.notes, *notes, *division.notes),
        members=members if division.made else {},
        digests=_split_digests(entries, division) if divided else {},
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
    digests = _split_digests(entries, division)
    return replace(
        data, train=train, validation=validation, test=test, notes=notes, digests=digests
    )


def _split_digests(entries: Sequence[Entry], division: Division) -> dict[str, str]:
    """Of each split, by the contents and labels of its samples in their order."""
    return {
        split: hashlib.sha256(
            "".join(f"{entries[n].digest} {entries[n].label}\n" for n in numbers).encode()
        ).hexdigest()
        for split, numbers in division.parts.items()
    }


def _reader(
    listing: Listing,
    asked: Mapping[str, Any],
    vocabulary: Sequence[str] | None,
    rule: VocabularyRule,
) -> Reader[bytes] | Reader[str]:
    if listing.kind == "image":
        from zoo.train.data.image_reading import ImageReader

        return ImageReader(listing, asked)
    if listing.kind == "audio":
        from zoo.train.data.audio_reading import AudioReader

        return AudioReader(listing, asked)
    from zoo.train.data.text_reading import TextReader

    return TextReader(asked, vocabulary, rule)


class _Read(NamedTuple):
    """A sample that was read; in its place the error of one that cannot be."""

    item: Item
    sample: Any
    digest: str


def _read_all(
    listing: Listing, reader: Reader[bytes] | Reader[str], request: DataRequest
) -> tuple[list[_Read], list[str]]:
    """Read every sample; return those that can be read, and what to tell.

    Raises:
        InvalidValue: Some cannot, and none may be skipped.
    """

    def read(item: Item) -> _Read:
        try:
            content = item.read()
            return _Read(item, reader.read(content, item.name), _digest(content))
        except (InvalidValue, OSError) as error:
            return _Read(item, error, "")

    if torch.get_num_threads() == 1:
        results = [read(item) for item in listing.items]
    else:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # decoders let others run
            results = list(pool.map(read, listing.items))
    wrong = [one for one in results if isinstance(one.sample, Exception)]
    if not wrong:
        return results, []
    names = some([one.item.name for one in wrong])
    found = f"{len(wrong)} of {counted(len(results), 'sample')} cannot be read: {names}"
    if request.unreadable == "refuse":
        raise InvalidValue(
            f"{listing.name}: {found}. The first: {wrong[0].sample} Mend or remove them, or leave them out with "
            "--unreadable skip."
        )
    good = [one for one in results if not isinstance(one.sample, Exception)]
    return good, [f"{found}; {'it is' if len(wrong) == 1 else 'they are'} left out"]


def _digest(content: bytes | str) -> str:
    """The same for equal files, and for texts of equal words."""
    if isinstance(content, str):
        content = " ".join(content.casefold().split()).encode()
    return hashlib.sha256(content).hexdigest()

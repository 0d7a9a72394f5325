"""Sentence classification as published by Kim (2014): SST-2, TREC and MR, a label and a sentence a line.

Splits: SST-2 as given; TREC as given, with the last 500 of train for validation; MR by folds, `i % 10`: the
fold held out is the test (0, or `fold=N`), the next one is validation. SST-2 was published in UTF-8, TREC and MR in
Latin-1.
"""

from __future__ import annotations

from pathlib import Path

from zoo.errors import InvalidValue, are, counted, some
from zoo.train.data.dataset import find_file
from zoo.train.data.listing import Item, Listing
from zoo.train.data.request import DataRequest
from zoo.train.data.tables import read_text_file

FOLDERS = (".", "text", "data")
SENTIMENT = ("negative", "positive")
QUESTIONS = ("description", "entity", "abbreviation", "human", "location", "number")
TREC_VALIDATION = 500  # questions, from the end of train
FOLDS = 10
LATIN = "iso-8859-1"


def list_sst2(root: Path, request: DataRequest) -> Listing:
    """SST-2 sentences: `stsa.binary.train`, `.dev` and `.test`."""
    _nothing_held_out("sst2", request)
    names = {"train": "train", "dev": "validation", "test": "test"}
    items = [
        item
        for part, split in names.items()
        for item in _items(
            _find("sst2", root, f"stsa.binary.{part}"), SENTIMENT, request, split=split
        )
    ]
    return Listing("sst2", "text", items, SENTIMENT)


def list_trec(root: Path, request: DataRequest) -> Listing:
    """TREC questions: `TREC.train.all` and `TREC.test.all`."""
    _nothing_held_out("trec", request)
    train = _items(
        _find("trec", root, "TREC.train.all"), QUESTIONS, request, split="train", older=LATIN
    )
    begin = max(len(train) - TREC_VALIDATION, len(train) * 9 // 10)  # where a file is smaller
    validation = [item._replace(split="validation") for item in train[begin:]]
    test = _items(
        _find("trec", root, "TREC.test.all"), QUESTIONS, request, split="test", older=LATIN
    )
    return Listing("trec", "text", [*train[:begin], *validation, *test], QUESTIONS)


def list_mr(root: Path, request: DataRequest) -> Listing:
    """MR reviews: `rt-polarity.all`."""
    fold = _fold(request)
    places = {fold: "test", (fold + 1) % FOLDS: "validation"}
    items = [
        item._replace(split=places.get(number % FOLDS, "train"))
        for number, item in enumerate(
            _items(_find("mr", root, "rt-polarity.all"), SENTIMENT, request, older=LATIN)
        )
    ]
    return Listing(f"mr-fold-{fold}", "text", items, SENTIMENT)


def _items(
    path: Path,
    labels: tuple[str, ...],
    request: DataRequest,
    *,
    split: str | None = None,
    older: str | None = None,
) -> list[Item]:
    """Read a file whose labels are the numbers of `labels`."""
    items = read_text_file(path, request, split=split, older=older)
    titles = {str(number): title for number, title in enumerate(labels)}
    if strange := [f"{item.name} has {item.label!r}" for item in items if item.label not in titles]:
        raise InvalidValue(
            f"{path.name}: of {counted(len(items), 'label')}, {len(strange)} {are(len(strange))} none of "
            f"{', '.join(titles)}: {some(strange)}."
        )
    return [item._replace(label=titles[item.label]) for item in items]


def _find(data: str, root: Path, name: str) -> Path:
    return find_file(data, root, FOLDERS, (name,))


def _fold(request: DataRequest) -> int:
    key, value = request.held_out or ("fold", "0")
    if key != "fold" or value not in map(str, range(FOLDS)):
        raise InvalidValue(
            f"mr: --hold-out is {key}={value}; one of ten folds can be held out, fold=0 to fold=9."
        )
    return int(value)


def _nothing_held_out(data: str, request: DataRequest) -> None:
    if request.held_out is not None:
        raise InvalidValue(f"{data} has splits of its own; leave --hold-out out.")

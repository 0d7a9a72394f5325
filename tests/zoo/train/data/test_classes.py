"""The classes of data, in their own order and in that of a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from zoo.errors import InvalidValue
from zoo.train.data import open_data
from zoo.train.data.classes import by_name, class_notes, classes_of, classes_there
from zoo.train.data.dataset import Data
from zoo.train.data.listing import Item, Listing
from zoo.train.data.request import DataRequest


def _listing(*labels: str, classes: tuple[str, ...] = ()) -> Listing:
    items = [Item(f"file{n}", label, b"") for n, label in enumerate(labels)]
    return Listing("x", "image", items, classes)


def test_classes_are_in_order() -> None:
    """Numbers by their size, then words by alphabet; or as the data say."""
    assert classes_of(_listing("b", "10", "9", "a", "b")) == ("9", "10", "a", "b")
    assert classes_of(_listing("a", "b", classes=("b", "c", "a"))) == ("b", "c", "a")


def test_a_model_has_them_in_its_order() -> None:
    """Whatever that of the data is, and if there are samples of one alone."""
    known = ("b", "c", "a")
    for listing in (_listing("a", "b", "c"), _listing("a", "a"), _listing("a", classes=("a", "b"))):
        assert classes_of(listing, known) == known


def test_the_classes_of_samples_may_be_fewer_than_the_data_have() -> None:
    """In the order that the data say."""
    assert classes_there(_listing("a", "b", classes=("b", "c", "a"))) == ("b", "a")


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (_listing(), "x holds no samples"),
        (_listing("a", "a"), "x has one class only, 'a'"),
        (
            _listing("a", "d", "c", "d", classes=("a", "b")),
            r"x: 3 samples \(file1, file2, file3\) are of the classes 'c', 'd', but its classes are a, b\. Call",
        ),
    ],
)
def test_what_is_no_classification_is_refused(listing: Listing, message: str) -> None:
    """No samples, one class, or a sample of another."""
    with pytest.raises(InvalidValue, match=message):
        classes_of(listing)


def test_classes_that_a_model_does_not_know_are_refused() -> None:
    """By name, with their samples, the classes that it knows, and what to do."""
    message = (
        r"x: 1 sample \(file1\) is of the class 'cow', but the model's classes are dog, cat\. Call classes by these "
        "names, and leave out samples of others"
    )
    with pytest.raises(InvalidValue, match=message):
        classes_of(_listing("cat", "cow"), ("dog", "cat"))


def test_data_with_numbers_for_classes_are_numbered_as_the_model_has_them(data: Data) -> None:
    """Every split, and nothing else of them."""
    there = by_name(data, ("white", "light", "grey", "dark"))
    assert there.labels == ("white", "light", "grey", "dark")
    for split in ("train", "validation", "test"):
        names = [data.labels[number] for number in data.split(split).labels]
        assert [there.labels[number] for number in there.split(split).labels] == names
    assert torch.equal(there.train[torch.arange(5)].x, data.train[torch.arange(5)].x)
    assert there.notes == (
        "there are samples of 3 of the model's 4 classes, which are matched by name: dark, grey, light",
    )
    with pytest.raises(InvalidValue, match="shades: there are samples of the class 'light', but"):
        by_name(data, ("dark", "grey"))


def test_that_classes_are_matched_is_told_where_it_matters() -> None:
    """In another order, or of some alone; the same ones in their order need no word."""
    assert class_notes(("a", "b"), ("a", "b")) == []
    assert class_notes(("a", "b"), ("b", "a")) == [
        "the model has these classes in another order; they are matched by name"
    ]
    assert "2 of the model's 3 classes" in class_notes(("a", "b"), ("a", "b", "c"))[0]


def test_samples_keep_their_classes(tmp_path: Path) -> None:
    """Of files as of arrays; what tells the samples of a split does not change with the order of classes."""
    path = tmp_path / "t.txt"
    path.write_text("".join(f"{'ab'[n % 2]} film {n}\n" for n in range(40)))
    request = DataRequest(what=str(path))
    own, known = open_data(request), open_data(request, classes=("c", "b", "a"))
    for split in ("train", "validation", "test"):
        names = [own.labels[number] for number in own.split(split).labels]
        assert [known.labels[number] for number in known.split(split).labels] == names
    assert known.digests == own.digests
    assert "2 of the model's 3 classes" in known.notes[0]

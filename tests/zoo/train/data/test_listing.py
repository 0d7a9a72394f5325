"""What is known of a data set before it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.errors import InvalidValue
from zoo.train.data.listing import Item, Listing, classes_of


def _listing(*labels: str, classes: tuple[str, ...] = ()) -> Listing:
    items = [Item(f"file{n}", label, b"") for n, label in enumerate(labels)]
    return Listing("x", "image", items, classes)


def test_a_sample_is_read_from_a_file_from_memory_or_as_a_text(tmp_path: Path) -> None:
    """A text is never taken for the name of a file."""
    (tmp_path / "file").write_bytes(b"content")
    contents: list[Path | bytes | str] = [tmp_path / "file", b"content", str(tmp_path / "file")]
    found = [Item("x", "a", content).read() for content in contents]
    assert found == [b"content", b"content", str(tmp_path / "file")]


def test_classes_are_in_order() -> None:
    """Numbers by their size, then words by alphabet; or as the data say."""
    assert classes_of(_listing("b", "10", "9", "a", "b")) == ("9", "10", "a", "b")
    assert classes_of(_listing("a", "b", classes=("b", "c", "a"))) == ("b", "c", "a")


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (_listing(), "x holds no samples"),
        (_listing("a", "a"), "x has one class only, 'a'"),
        (_listing("a", "c", classes=("a", "b")), "file1 is of class 'c', which is none of a, b"),
    ],
)
def test_what_is_no_classification_is_refused(listing: Listing, message: str) -> None:
    """No samples, one class, or a sample of another."""
    with pytest.raises(InvalidValue, match=message):
        classes_of(listing)

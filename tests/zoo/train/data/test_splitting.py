"""Dividing samples, and finding those that are in two splits."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from zoo.errors import InvalidValue
from zoo.train.data.request import DataRequest
from zoo.train.data.splitting import Division, Entry, divide, undivided

REQUEST = DataRequest(what="x")


def _divide(entries: list[Entry], **changes: object) -> Division:
    return divide(entries, msgspec.structs.replace(REQUEST, **changes), data="x")


def _classes(**counts: int) -> list[Entry]:
    return [
        Entry(f"{label}{number}", label, f"{label}{number}", None)
        for label, count in counts.items()
        for number in range(count)
    ]


def _contents(division: Division, entries: list[Entry], split: str) -> set[str]:
    return {entries[number].digest for number in division.parts[split]}


def test_about_a_tenth_of_each_class_is_held_out() -> None:
    """Every sample is in one split, and the classes have like shares."""
    entries = _classes(a=4000, b=2000)
    division = _divide(entries)
    assert sorted(n for numbers in division.parts.values() for n in numbers) == list(range(6000))
    for split, share in {"test": 0.1, "validation": 0.09}.items():
        counts = Counter(entries[number].label for number in division.parts[split])
        assert counts["a"] / 4000 == pytest.approx(share, abs=0.02)
        assert counts["b"] / 2000 == pytest.approx(share, abs=0.03)
    assert division.made == ("validation", "test")


@pytest.mark.parametrize("seed", range(20))
def test_every_split_has_every_class(seed: int) -> None:
    """At least one sample, also of a class that has just as many as there are splits."""
    entries = _classes(a=3, b=4, c=12)
    for numbers in _divide(entries, split_seed=seed).parts.values():
        assert {entries[number].label for number in numbers} == {"a", "b", "c"}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [3, 10, 300])
def test_added_samples_bring_none_of_train_into_the_test(size: int, seed: int) -> None:
    """A model of the samples before can be measured on the test of all: nothing there was trained on."""
    entries = _classes(a=size, b=size)
    trained = _contents(_divide(entries, split_seed=seed), entries, "train")
    for added in (1, size, 10 * size):
        more = [*_classes(a=size + added, b=size + added), *_classes(c=5)]
        division = _divide(more, split_seed=seed)
        assert not trained & _contents(division, more, "test")
        assert not trained & _contents(division, more, "validation")


def test_the_seed_decides() -> None:
    """The same seed gives the same splits, another gives others."""
    entries = _classes(a=100, b=100)
    assert _divide(entries) == _divide(entries)
    assert _divide(entries, split_seed=1).parts != _divide(entries).parts


def test_equal_contents_stay_together() -> None:
    """Copies never end up in two splits, also where they have different labels."""
    entries = [Entry(str(n), "ab"[n % 2], str(n // 4), None) for n in range(400)]
    division = _divide(entries)
    held = [{entries[n].digest for n in numbers} for numbers in division.parts.values()]
    assert not (held[0] & held[1]) | (held[0] & held[2]) | (held[1] & held[2])
    assert all(held)


def test_splits_that_are_there_are_kept() -> None:
    """Only the missing one is made, and of train alone."""
    entries = [*_classes(a=30, b=30), *(Entry(f"t{n}", "a", f"t{n}", "test") for n in range(5))]
    division = _divide(entries)
    assert division.parts["test"] == [60, 61, 62, 63, 64]
    assert len(division.parts["validation"]) >= 2
    assert division.made == ("validation",)


def test_a_class_too_small_to_divide_is_named() -> None:
    """Two different samples cannot be in three splits, copies or not."""
    entries = [*_classes(a=30), *(Entry(f"b{n}", "b", str(n % 2), None) for n in range(9))]
    with pytest.raises(InvalidValue, match="class 'b' has 2 different samples, too few"):
        _divide(entries)
    with pytest.raises(InvalidValue, match="class 'b' has 1 different sample, too few"):
        _divide(entries[:31])


def test_classes_with_next_to_nothing_to_measure_on_are_named() -> None:
    """In each split for itself; one of two samples or more is not."""
    entries = [
        Entry(f"{split} {label} {n}", label, f"{split} {label} {n}", split)
        for split, counts in {
            "train": {"a": 5, "b": 5, "c": 5},
            "validation": {"a": 2, "b": 1},
            "test": {"a": 2, "b": 2, "c": 2},
        }.items()
        for label, count in counts.items()
        for n in range(count)
    ]
    assert _divide(entries).notes == (
        "validation has one sample or none of 2 of the 3 classes, so that its figures say little of them: b, c",
    )


def test_samples_that_are_not_divided_are_together() -> None:
    """However few of a class there are, and whatever splits they say."""
    division = undivided([*_classes(a=1), Entry("b", "b", "b", "test")])
    assert division.parts == {"train": [0, 1], "validation": [], "test": []}
    assert division.made == division.notes == ()


def test_splits_without_one_to_train_on_are_refused() -> None:
    """With the command that measures on them all the same."""
    entries = [Entry("a", "a", "a", "test"), Entry("b", "b", "b", "validation")]
    with pytest.raises(
        InvalidValue, match=r"validation and test, but no folder 'train'.*--split all"
    ):
        _divide(entries)


@pytest.fixture
def leaking() -> list[Entry]:
    """One of train is in validation, one of validation in test."""
    return [
        Entry("one", "a", "1", "train"),
        Entry("two", "b", "2", "train"),
        Entry("copy of one", "a", "1", "validation"),
        Entry("three", "b", "3", "validation"),
        Entry("copy of three", "b", "3", "test"),
    ]


def test_leaks_are_reported(leaking: list[Entry]) -> None:
    """Which and how many; nothing is changed."""
    division = _divide(leaking)
    assert division.parts == {"train": [0, 1], "validation": [2, 3], "test": [4]}
    assert division.notes[:2] == (
        "1 sample of train is in validation or test, too: one",
        "1 sample of validation is in test, too: three",
    )


def test_leaks_are_dropped(leaking: list[Entry]) -> None:
    """From the earlier split: the test stays whole."""
    division = _divide([*leaking, Entry("four", "a", "4", "train")], leaks="drop")
    assert division.parts == {"train": [1, 5], "validation": [2], "test": [4]}


def test_leaks_are_refused(leaking: list[Entry]) -> None:
    """By name, and with what to do."""
    with pytest.raises(InvalidValue, match=r"too: one. Drop them with --leaks drop"):
        _divide(leaking, leaks="refuse")


def test_a_split_that_dropping_empties_is_refused() -> None:
    """All of train is in the test, or all of validation; which is told, and what to do."""
    entries = [
        Entry(str(n), "a", "1", split) for n, split in enumerate(("train", "validation", "test"))
    ]
    message = (
        "x: 1 sample of train is in validation or test, too: 0. --leaks drop leaves nothing in train, which had 1 sample. "
        "Take the copies out of the later split"
    )
    with pytest.raises(InvalidValue, match=message):
        _divide(entries, leaks="drop")
    entries[0] = Entry("other", "a", "2", "train")
    with pytest.raises(InvalidValue, match=r"1 sample of validation is .* leaves nothing in valid"):
        _divide(entries, leaks="drop")


def test_a_class_of_train_that_dropping_empties_is_refused(leaking: list[Entry]) -> None:
    """It could not be learned any more."""
    with pytest.raises(InvalidValue, match="leaves no sample of 'a' in train, which had 2 samples"):
        _divide(leaking, leaks="drop")


def test_a_split_without_samples_is_refused(leaking: list[Entry]) -> None:
    """Of what was held out, nothing may be left to train on."""
    held = [entry for entry in leaking if entry.split != "train"]
    with pytest.raises(InvalidValue, match="x: the train split is empty"):
        _divide(held, hold_out="speaker=ann")


def test_equal_contents_of_two_classes_are_told() -> None:
    """A model cannot be right about both."""
    entries = [
        Entry("one", "a", "1", "train"),
        Entry("two", "b", "1", "train"),
        Entry("three", "a", "3", "validation"),
        Entry("four", "a", "4", "test"),
    ]
    assert _divide(entries).notes[0] == "2 samples of x have equals with another label: one, two"

"""What errors are caught as, and the words that messages have in common."""

from __future__ import annotations

import pytest
import torch

import zoo
from zoo.errors import are, counted, is_out_of_memory, near_misses, some


def test_names_alike_are_suggested() -> None:
    """The closest first."""
    assert near_misses("cbm", ["cbam", "se", "eca"]) == "Did you mean 'cbam'?"


def test_without_a_near_miss_all_are_listed_up_to_a_limit() -> None:
    """The rest is counted."""
    assert near_misses("zzz", ["b", "a"]) == "Known: 'a', 'b'."
    assert (
        near_misses("zzz", [f"a{n}" for n in range(10)], most=2) == "Known: 'a0', 'a1' and 8 more."
    )
    assert near_misses("zzz", []) == "There are none."


def test_one_thing_is_not_many() -> None:
    """With commas in large numbers, and plurals of one's own."""
    assert [counted(number, "sample") for number in (0, 1, 2)] == [
        "0 samples",
        "1 sample",
        "2 samples",
    ]
    assert counted(1, "class", "classes") == "1 class"
    assert counted(1000, "class", "classes") == "1,000 classes"
    assert [are(number) for number in (0, 1, 2)] == ["are", "is", "are"]


def test_a_few_names_stand_for_many() -> None:
    """With how many more there are."""
    assert some(["a", "b"]) == "a, b"
    assert some(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_bad_values_are_value_errors_and_unknown_names_lookup_errors() -> None:
    """So that code that knows nothing of zoo can catch them."""
    assert issubclass(zoo.InvalidValue, ValueError)
    assert issubclass(zoo.UnknownName, LookupError)
    assert issubclass(zoo.MissingExtra, ImportError)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shapes do not fit"), False),
        (OSError(12, "x"), False),
    ],
)
def test_what_memory_lacks_is_told_from_the_rest(error: Exception, expected: bool) -> None:
    """Python, GPUs and torch's own allocator say it in three ways."""
    assert is_out_of_memory(error) is expected

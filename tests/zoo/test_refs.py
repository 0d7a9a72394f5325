"""Refs and version numbers: every form, its way back to text, and its order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import InvalidRef
from zoo.refs import ExactRef, Ref, VersionNumber, check_name

NAMES = st.from_regex(r"\A[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,5}){0,3}\Z")
INTEGERS = st.integers(0, 999_999_999)
PARTS = st.one_of(INTEGERS.map(str), st.from_regex(r"\A[0-9]{0,3}[a-z][a-z0-9]{0,5}\Z"))
NUMBERS = st.tuples(INTEGERS, INTEGERS, INTEGERS, st.lists(PARTS, max_size=3).map(".".join)).map(
    lambda parts: VersionNumber(*parts)
)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
SELECTORS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"major": INTEGERS}),
    st.fixed_dictionaries({"major": INTEGERS, "minor": INTEGERS}),
    st.fixed_dictionaries({"number": NUMBERS}),
    st.fixed_dictionaries({"digest": DIGESTS}),
)
REFS = st.tuples(NAMES, st.none() | NAMES, SELECTORS).map(
    lambda parts: Ref(parts[0], parts[1], **parts[2])
)


@given(REFS)
def test_every_ref_is_read_back_from_its_text(ref: Ref) -> None:
    """Text and parsed ref say the same."""
    assert Ref.parse(str(ref)) == ref


@given(NUMBERS)
def test_every_number_is_read_back_from_its_text(number: VersionNumber) -> None:
    """Text and parsed number say the same."""
    assert VersionNumber.parse(str(number)) == number


@given(st.text(max_size=40))
def test_any_text_is_a_ref_or_refused(text: str) -> None:
    """Nothing but InvalidRef comes out of the parser, and what is accepted is kept as it is."""
    try:
        ref = Ref.parse(text)
    except InvalidRef:
        return
    assert str(ref) == text


@given(NUMBERS, NUMBERS)
def test_two_numbers_are_equal_or_one_is_before_the_other(
    a: VersionNumber, b: VersionNumber
) -> None:
    """The order is total."""
    assert (a < b) + (b < a) + (a == b) == 1


def test_numbers_are_ordered_as_semantic_versioning_says() -> None:
    """The list of its paragraph 11, and numbers by value, not by text."""
    texts = "0.9.9 1.0.0-1 1.0.0-2 1.0.0-10 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta"
    texts += " 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.2.0 1.10.0 2.0.0-rc1 2.0.0"
    numbers = [VersionNumber.parse(text) for text in texts.split()]
    assert all(earlier < later for earlier, later in pairwise(numbers))
    assert max(numbers) == numbers[-1]


@pytest.mark.parametrize(
    "text",
    [
        *("1", "1.2", "1.2.3.4", "v1.2.3", "1.2.03", "01.2.3", "1.2.3-", "1.2.3-a..b", "1.2.3-RC1"),
        *("1.2.3-01", "1.2.3+build", "1.2.3\n", " 1.2.3", "1.2.-3", "", "1.2.3-a_b", "١.2.3"),
        "1.2.3-" + "9" * 5000,
        "1.2." + "9" * 5000,
        "1.2.3-" + "a." * 5000 + "a",
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    """Every near miss is refused, and endless ones, too."""
    with pytest.raises(InvalidRef, match=r"is no version number: write MAJOR.MINOR.PATCH"):
        VersionNumber.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "@1", "a@", "a@@1", "a@1@2", "A", "a-b", "a__b", "_a", "a_", "1a", "a\n", "a@1\n"),
        *("a@1.2.", "a@.1", "a@-1", "a@01", "a@latest", "a@sha256:12", "a@sha256:" + "A" * 64),
        *("/a", "a/", "a/b/c", "A/b", "a b", "ä", "a@sha256:" + "0" * 64 + "\n", "../a", "a" * 65),
        *("a@" + "9" * 10, "a@1.2.3-" + "1" * 5000),
    ],
)
def test_what_is_no_ref_is_refused_with_the_forms_there_are(text: str) -> None:
    """A newline at the end, an upper-case letter or a wrong selector: all are refused."""
    with pytest.raises(InvalidRef, match=r"is no ref: .*Forms: name, name@1"):
        Ref.parse(text)


@pytest.mark.parametrize("value", [None, 1, b"a", ["a"]])
def test_what_is_no_text_is_no_ref(value: object) -> None:
    """Another type is named in the message."""
    with pytest.raises(InvalidRef, match=f"is a text, not {type(value).__name__}"):
        Ref.parse(value)  # type: ignore[arg-type]  # the point of this test


def test_a_message_never_repeats_an_endless_text() -> None:
    """Messages stay readable."""
    with pytest.raises(InvalidRef, match="is no ref") as caught:
        Ref.parse("a@" + "x" * 100_000)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("ref", "number", "allowed"),
    [
        ("a", "0.0.1", True),
        ("a@1", "1.9.0", True),
        ("a@1", "10.0.0", False),
        ("a@1.2", "1.2.7", True),
        ("a@1.2", "1.20.0", False),
        ("a@0", "0.3.1", True),
        ("a@1.0", "1.0.0", True),
        ("a@1.2.0", "1.2.0", True),
        ("a@1.2.0", "1.2.0-rc1", False),
    ],
)
def test_a_ref_takes_in_the_numbers_of_its_line(ref: str, number: str, allowed: bool) -> None:
    """`@1` is the line 1, not everything that begins with 1."""
    assert Ref.parse(ref).allows(VersionNumber.parse(number)) is allowed


def test_names_may_have_64_characters() -> None:
    """The limit itself is allowed, one more is not."""
    assert check_name("a" * 64) == "a" * 64
    with pytest.raises(InvalidRef, match="at most 64 characters"):
        check_name("a" * 65)


def test_an_exact_ref_reads_as_one_would_type_it() -> None:
    """Its text is name and complete number."""
    assert str(ExactRef("attn-zoo", "a_net", VersionNumber(1, 2, 0, "rc1"), "0" * 64)) == (
        "a_net@1.2.0-rc1"
    )

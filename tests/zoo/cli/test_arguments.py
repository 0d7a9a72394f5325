"""Numbers on the command line."""

from __future__ import annotations

import pytest

from zoo import InvalidValue
from zoo.cli.arguments import whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("1000000", 10**6),
        ("1_000_000", 10**6),
        ("300k", 300_000),
        ("1.5M", 1_500_000),
        ("1.1M", 1_100_000),
        ("0.3k", 300),
        ("2 g", 2 * 10**9),
        ("1B", 10**9),
    ],
)
def test_a_number_may_have_a_unit(text, number):
    """Numbers of parameters are read as people write them."""
    assert whole_number(text, "--max-params") == number


@pytest.mark.parametrize(
    "text", ["", "k", "many", "1T", "nan", "inf", "1e40", "1e999999k", "1.5", "0.0004k"]
)
def test_what_is_no_whole_number_is_refused(text):
    """Anything else is an error that shows the forms there are; nothing is rounded off."""
    with pytest.raises(
        InvalidValue, match=r"--max-params: .* is no whole number. Write it like 300k"
    ):
        whole_number(text, "--max-params")


@pytest.mark.parametrize("text", ["-1", "-2k", "-inf"])
def test_a_negative_number_is_refused_as_such(text):
    """With the least that there can be: it is a number, only none of things."""
    with pytest.raises(InvalidValue, match=rf"--limit: '{text}' is too small. Give at least 0\."):
        whole_number(text, "--limit")

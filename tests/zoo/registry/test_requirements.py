"""Which distributions are missing, and how they are installed."""

from __future__ import annotations

import pytest

import zoo
from zoo.registry.requirements import how_to_install, is_met, missing


@pytest.mark.parametrize(
    ("specifier", "holds"),
    [(">=0.1", True), (">=0", True), (">= 99.1", False), ("==99.*", False), ("~=0.1,<99", True)],
)
def test_requirements_are_read_as_pip_reads_them(specifier: str, holds: bool) -> None:
    """The short way for the common form, and the long one for all others."""
    assert is_met({"attn-zoo": specifier}) == holds


def test_each_distribution_that_is_missing_is_named() -> None:
    """With what there is instead; one that is there is left out."""
    found = missing({"attn-zoo": ">=99", "no-such-one": ">=0.3", "pytest": ">=1", "no-other": "<2"})
    assert list(map(str, found)) == [
        f"attn-zoo >=99, installed: {zoo.__version__}",
        "no-such-one >=0.3, installed: none",
        "no-other <2, installed: none",
    ]
    assert how_to_install(one.words for one in found) == (
        "Install them: pip install 'attn-zoo>=99' no-such-one 'no-other<2'"
    )


def test_one_distribution_is_installed_once() -> None:
    """Whoever asks for it how often."""
    assert how_to_install(["a-b", "a-b"]) == "Install it: pip install a-b"

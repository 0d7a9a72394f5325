"""Processes that were given other things than the first."""

from __future__ import annotations

from typing import Any

import pytest

from zoo.errors import InvalidValue
from zoo.train import same_everywhere
from zoo.train.same_everywhere import SameEverywhere

GIVEN = {"data set": {"train": "1f"}, "model": {"backbone": "attn_cnn"}, "recipe": {"epochs": 3}}


def begin(others: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Start to train beside others."""
    monkeypatch.setattr(same_everywhere, "of_all", lambda given: [given, *others])
    SameEverywhere(GIVEN).on_fit_start(None, None)


@pytest.mark.parametrize("others", [[], [GIVEN], [GIVEN, GIVEN]])
def test_what_is_the_same_is_trained(
    others: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one process as by several."""
    begin(others, monkeypatch)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"recipe": {"epochs": 4}}, "Process 2 was given another recipe than process 0"),
        (
            {"data set": {"train": "2e"}, "model": {}},
            "Process 2 was given another data set and another model than process 0",
        ),
    ],
)
def test_what_differs_is_named(
    other: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the process that has it."""
    with pytest.raises(InvalidValue, match=message):
        begin([GIVEN, GIVEN | other], monkeypatch)

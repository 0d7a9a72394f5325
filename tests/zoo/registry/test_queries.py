"""Conditions on figures."""

from __future__ import annotations

import pytest

from zoo import InvalidValue
from zoo.registry.queries import Condition

METRICS = {"pets/test/top1": {"mean": 0.9}}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("pets/test/top1", True),
        ("pets/test/top1>0.9", False),
        ("pets/test/top1 >= 0.9", True),
        ("pets/test/top1<1", True),
        ("pets/test/top1<=.5", False),
        ("pets/test/top1>8e-1", True),
        ("birds/test/top1>0", False),
    ],
)
def test_bounds_a_figure(text: str, holds: bool) -> None:
    """The mean is compared; a figure that is not there fulfils nothing."""
    assert Condition.parse(text).holds(METRICS) is holds


@pytest.mark.parametrize("text", ["", ">0.9", "a>", "a>b", "a=0.9", "a>0.9 b", "a>>1"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    """The error shows how to write one."""
    with pytest.raises(
        InvalidValue,
        match=r"is no condition on a metric; write e\.g\. 'cifar10-jpeg/test/top1>0.9'",
    ):
        Condition.parse(text)

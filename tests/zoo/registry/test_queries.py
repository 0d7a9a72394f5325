"""Conditions of queries."""

from __future__ import annotations

import pytest

from zoo import InvalidValue
from zoo.registry.queries import Condition, Query


@pytest.mark.parametrize("text", ["", ">0.9", "a>", "a>b", "a=0.9", "a>0.9 b", "a>>1"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    """The error shows how to write one."""
    with pytest.raises(
        InvalidValue,
        match=r"is no condition on a metric; write e\.g\. 'cifar10-jpeg/test/top1>0.9'",
    ):
        Condition.parse(text)


COMPONENTS = ("backbone/timm/resnet50", "attention/se", "attention/cbam", "head/gem")


@pytest.mark.parametrize(
    ("query", "takes"),
    [
        (Query(), True),
        (Query(backbone="timm/*"), True),
        (Query(backbone="resnet50"), False),
        (Query(attention="cbam"), True),
        (Query(attention="gem"), False),
        (Query(head="g?m", attention="s*"), True),
        (Query(ndim=2), True),
        (Query(ndim=1), False),
        (Query(members={"attention/eca", "attention/se"}), True),
        (Query(members=set()), False),
    ],
)
def test_a_query_asks_for_components_and_input(query: Query, takes: bool) -> None:
    """By kind and name, with * and ?."""
    assert query.takes(COMPONENTS, "image") is takes
    assert query.asks_for_components is (query != Query())

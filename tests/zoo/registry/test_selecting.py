"""Which variants a query takes in, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import zoo
from zoo import InvalidValue, Registry, UnknownName
from zoo.registry import schema

MakeRegistry = Callable[..., Registry]


def entry(mean: float | None = None, **fields: Any) -> dict[str, Any]:
    """A version with a figure."""
    metrics = {} if mean is None else {"pets/test/top1": {"mean": mean}}
    return {"metrics": metrics, **fields}


def refs(*registries: Registry, **conditions: Any) -> list[str]:
    """The refs that `list_variants` gives."""
    return [row.ref for row in zoo.list_variants(**conditions, registries=registries)]


@pytest.mark.parametrize(
    ("condition", "holds"),
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
def test_a_condition_bounds_a_figure(
    make_registry: MakeRegistry, condition: str, holds: bool
) -> None:
    """The mean is compared; a figure that is not there fulfils nothing."""
    birds = {"metrics": {"birds/test/top1": {"mean": 0.5}}, "status": {"yanked": "x"}}
    registry = make_registry(a_net={"1.0.0": entry(0.9), "0.9.0": birds}, b_net={"1.0.0": entry()})
    assert refs(registry, metric=condition) == (["a_net@1.0.0"] if holds else [])


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ["a_net", "b1", "b2", "c_net"]),
        ("b?", ["b1", "b2"]),
        ("*_net", ["a_net", "c_net"]),
        ("[!ab]*", ["c_net"]),
        ("b[2-9]", ["b2"]),
        ("A*", []),
        ("'; DROP TABLE versions; --", []),
    ],
)
def test_patterns_are_those_of_file_names(
    make_registry: MakeRegistry, pattern: str, names: list[str]
) -> None:
    """Capitals matter."""
    registry = make_registry(**{name: {"1.0.0": {}} for name in ("c_net", "b2", "a_net", "b1")})
    assert refs(registry, pattern=pattern) == [f"{name}@1.0.0" for name in names]


def test_a_variant_stands_by_the_version_that_its_plain_name_comes_to(
    make_registry: MakeRegistry,
) -> None:
    """The newest that is no pre-release and not withdrawn, by number and not by text."""
    versions = {
        "1.9.0": entry(0.1),
        "1.10.0": entry(0.2),
        "2.0.0-rc1": entry(0.3),
        "1.11.0": entry(0.4, status={"yanked": "wrong split"}),
    }
    only_early = {"1.0.0-rc1": {}, "0.9.0": {"status": {"yanked": "x"}}}
    registry = make_registry(a_net=versions, b_net=only_early)
    assert refs(registry) == ["a_net@1.10.0"]
    assert refs(registry, metric="pets/test/top1>0.3") == []


def test_a_version_that_needs_what_is_not_installed_stands_back(
    make_registry: MakeRegistry,
) -> None:
    """An older one that needs less is listed in its place."""
    needy = {"requires": {"no-such-distribution": ">=1"}}
    later = {"requires": {"attn-zoo": ">=99"}}
    registry = make_registry(
        a_net={"1.0.0": {}, "1.1.0": needy, "1.2.0": later},
        b_net={"1.0.0": needy},
        c_net={"1.0.0": {}},
    )
    assert refs(registry) == ["a_net@1.0.0", "c_net@1.0.0"]
    assert refs(registry, sort="params", pattern="a*") == ["a_net@1.0.0"]


def test_what_variants_are_sorted_by(make_registry: MakeRegistry) -> None:
    """The name; the size, the smallest first; a figure, the highest first. What lacks it comes last."""
    registry = make_registry(
        c_net={"1.0.0": entry(0.5, params=30)},
        a_net={"1.0.0": entry(0.9, params=20)},
        d_net={"1.0.0": entry()},
        b_net={"1.0.0": entry(0.7, params=10)},
    )
    by = {key: refs(registry, sort=key) for key in ("ref", "params", "pets/test/top1")}
    assert {key: "".join(ref[0] for ref in found) for key, found in by.items()} == {
        "ref": "abcd",
        "params": "bacd",
        "pets/test/top1": "abcd",
    }
    with pytest.raises(UnknownName, match=r"Nothing to sort by is called 'pets/test/top'. Did you"):
        refs(registry, sort="pets/test/top")


def test_the_first_registry_that_knows_a_name_answers(make_registry: MakeRegistry) -> None:
    """Even if nothing of it will do; the others' variants come in between, in order."""
    first = make_registry(
        "first", "one", b_net={"1.0.0": entry(0.1, params=5)}, d_net={"1.0.0-rc1": {}}
    )
    second = make_registry(
        "second",
        "two",
        a_net={"1.0.0": entry(0.2, params=4)},
        b_net={"9.0.0": entry(0.9)},
        c_net={"1.0.0": entry(params=6)},
        d_net={"9.0.0": {}},
    )
    assert refs(first, second) == ["a_net@1.0.0", "b_net@1.0.0", "c_net@1.0.0"]
    assert refs(first, second, sort="params") == ["a_net@1.0.0", "b_net@1.0.0", "c_net@1.0.0"]
    assert refs(first, second, sort="pets/test/top1")[0] == "a_net@1.0.0"
    assert refs(first, second, metric="pets/test/top1>0.5") == []
    rows = zoo.list_variants(registries=[second, first])
    assert [(row.ref, row.registry) for row in rows][1:3] == [
        ("b_net@9.0.0", "two"),
        ("c_net@1.0.0", "two"),
    ]


def test_the_count_is_that_of_the_rows(make_registry: MakeRegistry) -> None:
    """Without reading them."""
    one = make_registry("one", "one", **{f"net_{n}": {"1.0.0": {}} for n in range(9)})
    two = make_registry("two", "two", **{f"net_{n}": {"1.0.0": {}} for n in range(5, 12)})
    for pattern in ("*", "net_1*", "none"):
        found = zoo.listing.find_variants(pattern, registries=[one, two])
        assert found.count() == len(list(found))
    assert zoo.listing.find_variants(registries=[one, two]).count() == 12


@pytest.mark.parametrize("odd", ["\udcff", "a\0", "%s", "'", "*" * 50, "["])
def test_what_no_table_holds_is_not_found(make_registry: MakeRegistry, odd: str) -> None:
    """Bytes from a shell that are no text among them; numbers too large are as good as the largest."""
    registry = make_registry(a_net={"1.0.0": entry(0.5, params=3)})
    assert refs(registry, pattern=f"{odd}x") == []
    assert refs(registry, backbone=f"{odd}x*") == []
    with pytest.raises(UnknownName, match="No variant has a metric"):
        refs(registry, metric=f"x{odd}>0")
    assert zoo.listing.names_like(odd, [registry]) == "Known: 'a_net'."
    with pytest.raises(UnknownName, match="Nothing to sort by"):
        refs(registry, sort=odd)
    assert refs(registry, max_params=2**70) == ["a_net@1.0.0"]
    assert refs(registry, max_params=-(2**70)) == []


def test_near_misses_are_found_among_many_names(make_registry: MakeRegistry) -> None:
    """More than are compared letter by letter."""
    names = {f"other_{n:04}": {"1.0.0": {}} for n in range(600)}
    registry = make_registry(**names, resnet_small={"1.0.0": {}})
    with pytest.raises(
        UnknownName, match=r"No variant is called 'resmet_smal'. Did you mean 'resnet_small'"
    ):
        zoo.describe("resmet_smal", registries=[registry])
    with pytest.raises(UnknownName, match=r"Known: .* and 593 more\."):
        zoo.describe("q", registries=[registry])


def test_a_variant_of_a_newer_schema_alone_is_not_listed(make_registry: MakeRegistry) -> None:
    """There is nothing to choose from."""
    assert refs(make_registry(a_net={"1.0.0": {"schema": schema.SCHEMA + 1}})) == []


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"ndim": 3}, "ndim is 3; give 1 .* or 2"),
        ({"ndim": "2"}, "ndim is '2'"),
        ({"max_params": "1M"}, "max_params is '1M'; give a whole number"),
        ({"metric": 0.9}, "0.9 is no condition on a metric"),
    ],
)
def test_conditions_that_nothing_could_fulfil_are_refused(
    make_registry: MakeRegistry, condition: dict[str, Any], message: str
) -> None:
    """An empty list would look like an answer."""
    with pytest.raises(InvalidValue, match=message):
        refs(make_registry(a_net={"1.0.0": {}}), **condition)

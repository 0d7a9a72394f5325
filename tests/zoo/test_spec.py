"""Specs: read from data, back to data, and every rule with its message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import InvalidSpec, Spec

NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 500) | st.floats(-1, 1) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
OPTIONS = st.dictionaries(st.sampled_from(["reduction", "widths", "x"]), PLAIN, max_size=2)
COUNTED = st.lists(st.integers(-4, 4), min_size=1, max_size=3)
INPUTS = st.one_of(
    st.integers(1, 4).flatmap(
        lambda channels: st.fixed_dictionaries(
            {"kind": st.just("image"), "channels": st.just(channels)},
            optional={
                "size": st.none() | st.tuples(st.integers(1, 99), st.integers(1, 99)).map(list),
                "mean": st.lists(st.floats(0, 1), min_size=channels, max_size=channels),
                "std": st.lists(st.floats(0.1, 1), min_size=channels, max_size=channels),
                "crop": st.floats(0.1, 1),
                "interpolation": st.sampled_from(["nearest", "bilinear", "bicubic"]),
            },
        )
    ),
    st.fixed_dictionaries({"kind": st.just("sequence"), "channels": st.integers(1, 9)}),
    st.fixed_dictionaries(
        {"kind": st.just("audio"), "sample_rate": st.integers(1, 48000)},
        optional={"channels": st.integers(1, 2), "seconds": st.floats(0.1, 9)},
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("text"),
            "vocabulary_size": st.integers(0, 99),
            "vocabulary_bytes": st.integers(0, 999),
        },
        optional={"lower": st.booleans(), "length": st.none() | st.integers(1, 9)},
    ),
)
OUTPUTS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"num_classes": st.integers(0, 9)}),
    st.lists(st.text(max_size=4), unique=True).flatmap(
        lambda labels: st.fixed_dictionaries(
            {"labels": st.just(labels)}, optional={"num_classes": st.just(len(labels))}
        )
    ),
)


def block(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A component's block: the core's words, and options beside them."""
    return st.tuples(OPTIONS, st.fixed_dictionaries(required, optional=optional)).map(
        lambda pair: {**pair[0], **pair[1]}
    )


SPECS = st.fixed_dictionaries(
    {"backbone": NAMES | block({"name": NAMES}, {"pretrained": st.booleans()})},
    optional={
        "input": INPUTS,
        "attention": st.lists(
            block(
                {
                    "name": NAMES,
                    "slot": st.sampled_from(["branch", "block", "stage", "last", "conv"]),
                },
                {
                    "stages": COUNTED,
                    "blocks": st.one_of(
                        st.sampled_from(["all", "first", "last"]),
                        st.fixed_dictionaries({"every": st.integers(1, 4)}),
                        COUNTED,
                    ),
                    "start": st.sampled_from(["default", "identity"]),
                },
            ),
            max_size=3,
        ),
        "head": NAMES
        | block(
            {"name": NAMES},
            {"dropout": st.floats(0, 0.9), "hidden": st.lists(st.integers(1, 9), max_size=2)},
        ),
        "output": OUTPUTS,
    },
)


@given(SPECS)
def test_a_spec_equals_what_is_read_back_from_its_data(data: dict[str, Any]) -> None:
    """And equal specs have equal canonical text."""
    spec = Spec.from_data(data)
    again = Spec.from_data(spec.to_data())
    assert again == spec
    assert again.to_json() == spec.to_json()


def test_what_a_block_has_beside_the_words_of_the_core_are_its_options() -> None:
    """They are apart in a spec, and together in its data."""
    spec = Spec.from_data(
        {"backbone": "b", "attention": {"name": "cbam", "slot": "branch", "reduction": 8}}
    )
    assert spec.attention[0].options == {"reduction": 8}
    assert spec.to_data()["attention"] == [{"name": "cbam", "slot": "branch", "reduction": 8}]


def test_labels_say_the_number_of_classes() -> None:
    """The two ways to say it are one spec."""
    with_both = Spec.from_data(
        {"backbone": "b", "output": {"labels": ["x", "y"], "num_classes": 2}}
    )
    assert with_both == Spec.from_data({"backbone": "b", "output": {"labels": ["x", "y"]}})
    assert with_both.output.width == 2


def test_components_are_named_once_in_the_order_of_the_road() -> None:
    """Backbone, attentions, head."""
    placed = [{"name": n, "slot": "block"} for n in ("se", "eca", "se")]
    spec = Spec.from_data({"backbone": "b", "attention": placed, "head": "gem"})
    assert spec.components == [
        ("backbone", "b"),
        ("attention", "se"),
        ("attention", "eca"),
        ("head", "gem"),
    ]


IMAGE = {"kind": "image", "channels": 3}
AUDIO = {"kind": "audio", "sample_rate": 8000}
SE = {"name": "se", "slot": "branch"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbon": "b"}, r"spec: unknown field 'backbon'\. Did you mean 'backbone'"),
        ({"input": {**IMAGE, "chanels": 3}}, r"input: unknown field 'chanels'.*'channels'"),
        ({"input": {"kind": "imag"}}, r"input: kind 'imag' is unknown.*'image'"),
        ({"input": {"kind": 3}}, "input: kind 3 is unknown"),
        ({"input": "image"}, "input: expected fields with names, got 'image'"),
        ({"input": {**IMAGE, "channels": 0}}, r"input\.channels: 0 is not at least 1"),
        ({"input": {**IMAGE, "channels": True}}, "Expected `int`, got `bool`"),
        ({"input": {**IMAGE, "channels": "3"}}, r"Expected `int`, got `str` - at `spec\.input"),
        ({"input": {**IMAGE, "size": [8]}}, "length 2"),
        ({"input": {**IMAGE, "size": [0, 8]}}, r"input\.size: \(0, 8\) is not of at least 1 pixel"),
        ({"input": {**IMAGE, "mean": [0.5]}}, r"input\.mean.*one value for each of 3 channels"),
        ({"input": {**IMAGE, "std": [0, 1, 1]}}, r"input\.std: .* is not positive"),
        ({"input": {**IMAGE, "mean": [float("nan")] * 3}}, r"input\.mean: .* is not finite"),
        ({"input": {**AUDIO, "seconds": float("inf")}}, r"input\.seconds: inf is not .*finite"),
        ({"input": {**AUDIO, "seconds": 1e308}}, r"input\.seconds: 1e\+308 is not .*finite"),
        ({"input": {**AUDIO, "seconds": float("nan")}}, r"input\.seconds: nan is not .*finite"),
        ({"input": {**AUDIO, "seconds": 0}}, r"input\.seconds: 0\.0 is not positive"),
        ({"input": {**IMAGE, "crop": 0}}, r"input\.crop: 0\.0 is not in \(0, 1\]"),
        ({"input": {**IMAGE, "crop": 1.5}}, r"input\.crop: 1\.5 is not in \(0, 1\]"),
        ({"input": {"kind": "audio", "sample_rate": 0}}, r"input\.sample_rate: 0 is not"),
        (
            {"input": {"kind": "audio", "sample_rate": 1_000_001}},
            r"input\.sample_rate: 1000001 is not from 1 to 1000000 Hz",
        ),
        ({"backbone": {}}, "missing required field `name`"),
        ({"backbone": 3}, "backbone: expected fields with names, got 3"),
        ({"backbone": {"name": "b", "pretrained": 3}}, "Expected `bool | str`, got `int`"),
        ({"backbone": {"name": "b", "f": float("nan")}}, "is not plain data"),
        ({"backbone": {"name": "b", "f": {1, 2}}}, "is not plain data"),
        ({"attention": [{"name": "se"}]}, r"attention\[0\]: 'se' says no slot; give one of branch"),
        (
            {"attention": [SE, {**SE, "slot": "brnch"}]},
            r"attention\[1\]\.slot: 'brnch' is unknown\. Did you mean 'branch'",
        ),
        ({"attention": "se"}, r"attention\[0\]: 'se' says no slot"),
        ({"attention": [{**SE, "stages": "3"}]}, r"Expected `array \| null`, got `str`"),
        ({"attention": [{**SE, "blocks": "some"}]}, r"attention\[0\]\.blocks: 'some' is unknown"),
        ({"attention": [{**SE, "blocks": {"evry": 2}}]}, r"attention\[0\].*at `"),
        ({"attention": [{**SE, "start": "now"}]}, r"attention\[0\]\.start: 'now' is unknown"),
        ({"attention": ""}, r"attention\[0\]: '' says no slot"),
        ({"head": {"name": "avg", "dropout": 1}}, r"head\.dropout: 1\.0 is not in \[0, 1\)"),
        ({"head": {"name": "avg", "dropout": float("nan")}}, r"head\.dropout: nan is not in"),
        ({"head": {"name": "avg", "hidden": [0]}}, r"head\.hidden: \(0,\) is not widths of"),
        ({"output": {"num_classes": -1}}, r"output\.num_classes: -1 is not at least 0"),
        ({"output": {"num_classes": 3, "labels": ["a"]}}, r"num_classes: 3 is not the number of"),
        ({"output": {"labels": ["a", "a"]}}, r"output\.labels: .* is not without repeats"),
        ({"output": {"kind": "boxes"}}, r"output: .*[Ii]nvalid enum value"),
        ({"output": {"classes": 3}}, r"unknown field 'classes'\. Did you mean 'num_classes'"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_expected(change: dict[str, Any], message: str) -> None:
    """One clear message for each rule."""
    with pytest.raises(InvalidSpec, match=message):
        Spec.from_data({"backbone": "b", **change})


@pytest.mark.parametrize("data", [None, 3, "b", ["b"], {1: "b"}])
def test_what_has_no_fields_is_no_spec(data: object) -> None:
    """The value is shown."""
    with pytest.raises(InvalidSpec, match="spec: expected fields with names, got"):
        Spec.from_data(data)


def test_a_spec_needs_a_backbone() -> None:
    """The message shows how to give one."""
    with pytest.raises(InvalidSpec, match=r"there is no 'backbone'. A spec needs one, e.g."):
        Spec.from_data({"input": IMAGE})


def test_lists_that_stand_in_each_other_without_end_are_refused() -> None:
    """Python's own writer of JSON gives up on them."""
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(InvalidSpec, match="stand in each other too deeply"):
        Spec.from_data({"backbone": {"name": "b", "option": value}})

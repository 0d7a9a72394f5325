"""Example costs for the command."""

from __future__ import annotations

import json

import zoo
from zoo.cli.costs import Example, component_cost, model_cost, spec_cost


def component(title: str) -> zoo.Component:
    """A component by its title."""
    return next(one for one in zoo.list_components() if one.title == title)


def test_a_component_is_counted_at_the_size_it_is_for() -> None:
    """A map where it takes one, else a sequence; a backbone at an input of its kind."""
    assert component_cost(component("attention/se"), "se") == ((64, 32, 32), 1024, 66_560)
    assert component_cost(component("backbone/text_cnn"), "text_cnn").shape == (32,)
    assert component_cost(component("backbone/audio_cnn"), "audio_cnn").shape == (1, 16_000)
    resnet = component_cost(component("backbone/timm/*"), "timm/resnet18")
    assert resnet == ((3, 224, 224), 11_176_512, 1_813_561_344)


def test_a_model_is_counted_at_its_own_size_or_one_of_ours(small_spec) -> None:
    """The input block's, where it names one; weights of the network are neither fetched nor drawn."""
    spec = zoo.Spec.from_data(small_spec)
    assert spec_cost(spec) == model_cost(zoo.compose(spec))
    assert spec_cost(spec).shape == (3, 8, 8)
    small_spec["input"].pop("size")
    assert spec_cost(zoo.Spec.from_data(small_spec)).shape == (3, 32, 32)
    data = {"backbone": {"name": "timm/resnet18", "pretrained": True}, "head": {"name": "avg"}}
    fetched = zoo.Spec.from_data({**data, "input": {"kind": "image", "channels": 3}})
    assert spec_cost(fetched).parameters == 11_176_512


def test_what_cannot_be_counted_says_why() -> None:
    """Instead of a count there is the reason."""
    found = component_cost(component("backbone/timm/*"), "timm/resnet1")
    assert found.startswith("not counted: timm has no architecture 'resnet1'")


def test_a_name_space_has_no_one_count(command) -> None:
    """It is said how to ask for that of an architecture."""
    expected = "depends on the architecture; zoo show timm/NAME says it of one"
    assert component_cost(component("backbone/timm/*"), "timm/*") == expected
    assert f"  costs       {expected}\n" in command("show", "backbone/timm/*").out
    assert json.loads(command("show", "backbone/timm/*", "--json").out)["cost"] is None


def test_an_example_reads_as_a_sentence() -> None:
    """With thousands apart."""
    text = "1,024 parameters, 66,560 multiply-adds at (64, 32, 32)"
    assert str(Example((64, 32, 32), 1024, 66_560)) == text
    assert str(Example((2,), 1, 1)) == "1 parameter, 1 multiply-add at (2,)"


def test_costs_are_shown(command, make_registry, tmp_path) -> None:
    """Of a component and a spec always; of a version or a file, whose model must be built for it, if asked for."""
    line = "  costs       1,024 parameters, 66,560 multiply-adds at (64, 32, 32)\n"
    assert line in command("show", "attention/se").out
    spec = command("show", "attn_cnn(widths=[8], depths=1) + se@branch + gem").out
    assert " parameters, " in spec
    assert " multiply-adds at (3, 32, 32)\n" in spec
    registry = make_registry(small={"1.0.0": {}})
    path = zoo.save(zoo.create("small", registries=[registry]), tmp_path / "small.safetensors")
    for what in ("small", str(path)):
        assert "\n  costs " not in command("show", what, registry=registry).out
        assert (
            "multiply-adds at (3, 8, 8)\n" in command("show", what, "--cost", registry=registry).out
        )


def test_costs_as_json(command, make_registry) -> None:
    """Shape, parameters and multiply-adds; null where nothing was counted."""
    expected = {"shape": [64, 32, 32], "parameters": 1024, "multiply_adds": 66_560}
    assert json.loads(command("show", "attention/se", "--json").out)["cost"] == expected
    registry = make_registry(small={"1.0.0": {}})
    words = ("show", "small", "--json")
    assert json.loads(command(*words, registry=registry).out)["cost"] is None
    counted = json.loads(command(*words, "--cost", registry=registry).out)["cost"]
    assert counted["shape"] == [3, 8, 8]
    spec = "attn_cnn(widths=[8], depths=1)"
    assert json.loads(command("show", spec, "--json").out)["cost"]["shape"] == [3, 32, 32]

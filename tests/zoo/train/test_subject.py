"""What is to be trained, read and completed."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

import zoo
from zoo.errors import UnknownName, ZooError
from zoo.train.subject import (
    asked_input,
    finetuning_recipe,
    for_finetuning,
    read_subject,
    without_origin,
)


def test_a_file_may_have_a_spec_in_short_form(tmp_path: Path) -> None:
    """Or as a block; the recipe's block may be missing."""
    path = tmp_path / "a.yaml"
    path.write_text('spec: "plain_cnn + se@block + avg"\n')
    short = read_subject(str(path))
    path.write_text("spec: {backbone: plain_cnn, attention: [{name: se, slot: block}], head: avg}")
    long = read_subject(str(path))
    assert short.spec["attention"] == long.spec["attention"] == [{"name": "se", "slot": "block"}]
    assert short.recipe == long.recipe == {}
    assert read_subject("plain_cnn + se@block + avg").spec == short.spec


def test_a_version_brings_its_recipe() -> None:
    """Both as they stand in the registry."""
    subject = read_subject("attn_cnn_mnist@1.0.0")
    assert subject.spec["backbone"]["name"] == "plain_cnn"
    assert subject.recipe["optimizer"] == "adam"
    assert subject.version is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("spec: {backbone: plain_cnn}\nrecip: {}", "expected the blocks 'spec' and 'recipe'"),
        ("spec: {backbone: plain_cnn, had: avg}", "unknown field 'had'. Did you mean 'head'"),
        ("spec: {backbone: plain_cnn, input: {kind: text, lenght: 3}}", "'lenght'. Did you mean"),
        (
            "spec: {backbone: plain_cnn, input: {kind: image, siez: 3}}",
            "'siez'. Did you mean 'size'",
        ),
        ("spec: {backbone: plain_cnn}\nrecipe: {epoch: 3}", "recipe: unknown field 'epoch'"),
        ("spec: 3", "expected fields with names"),
    ],
)
def test_mistakes_are_found_before_the_data_are_read(
    tmp_path: Path, content: str, message: str
) -> None:
    """In spec, input and recipe, with the near miss; the data's gaps are none."""
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(ZooError, match=message):
        read_subject(str(path))


@pytest.mark.parametrize("name", ["attn_cnn", "timm/resnet18"])
def test_a_backbone_alone_is_answered_with_the_spec_to_write(name: str) -> None:
    """Of a name space, too; what is no backbone gets no such advice."""
    with pytest.raises(UnknownName, match=f"A backbone has that name; write '{name} . avg'"):
        read_subject(name)
    with pytest.raises(UnknownName, match=r"No variant is called 'cbam'\. Known: [^.]*\.$"):
        read_subject("cbam")


def test_an_input_is_what_spec_and_backbone_say() -> None:
    """The spec's own block first; what neither says is left to the data."""
    assert asked_input({"backbone": "plain_cnn"}) == {"kind": "image"}
    assert asked_input({"backbone": {"name": "plain_cnn", "ndim": 1}}) == {"kind": "sequence"}
    assert asked_input({"backbone": "text_cnn"}) == {"kind": "text"}
    assert asked_input({"backbone": "text_cnn", "input": {"kind": "text", "length": 9}}) == {
        "kind": "text",
        "length": 9,
    }
    audio = {"backbone": {"name": "audio_cnn", "sample_rate": 8000}}
    assert asked_input(audio) == {"kind": "audio", "sample_rate": 8000}


@pytest.mark.usefixtures("own_catalog")
def test_what_a_backbone_asks_for_gives_way_to_the_spec() -> None:
    """Its normalisation holds for as many channels as it was trained on, and its block for its kind alone."""

    @zoo.backbone("pretrained_one")
    class _Pretrained(nn.Module):
        @classmethod
        def default_input(cls, **_options: object) -> dict[str, object]:
            return {"kind": "image", "channels": 3, "size": [224, 224], "mean": [0.5] * 3}

    colour = asked_input({"backbone": "pretrained_one", "input": {"channels": 3, "size": [64, 64]}})
    assert colour == {"kind": "image", "channels": 3, "size": [64, 64], "mean": [0.5] * 3}
    grey = asked_input({"backbone": {"name": "pretrained_one"}, "input": {"channels": 1}})
    assert grey == {"kind": "image", "channels": 1, "size": [224, 224]}
    other = {"kind": "audio", "sample_rate": 8000}
    assert asked_input({"backbone": "pretrained_one", "input": other}) == other


def test_vocabularies_are_left_to_the_texts() -> None:
    """A version's sizes are those of the texts it was trained on."""
    block = {"kind": "text", "vocabulary_size": 3, "vocabulary_bytes": 9, "lower": False}
    assert asked_input({"backbone": "text_cnn", "input": block}) == {"kind": "text", "lower": False}


def test_what_came_from_the_data_is_forgotten() -> None:
    """A version that is trained anew on other data takes classes and normalisation from those."""
    spec = read_subject("attn_cnn_mnist").spec
    bare = without_origin(spec)
    assert "output" not in bare
    assert bare["input"] == {"kind": "image", "channels": 1, "size": [28, 28]}
    assert bare["attention"] == spec["attention"]


def test_fine_tuning_begins_at_what_was_trained() -> None:
    """Pretrained backbone and attentions that change nothing, unless the spec says otherwise."""
    spec = {
        "backbone": "timm/resnet18",
        "attention": [
            {"name": "eca", "slot": "branch"},
            {"name": "se", "slot": "last", "start": "default"},
        ],
    }
    tuned = for_finetuning(spec)
    assert tuned["backbone"] == {"name": "timm/resnet18", "pretrained": True}
    assert [block["start"] for block in tuned["attention"]] == ["identity", "default"]
    own = {"backbone": {"name": "timm/resnet18", "pretrained": "a.safetensors"}}
    assert for_finetuning(own)["backbone"] == own["backbone"]


def test_fine_tuning_has_a_pace_of_its_own() -> None:
    """Of the recipe that made the weights only what does not pace it is kept; of one's own all."""
    recipe = {"epochs": 90, "learning_rate": 0.1, "augment": ["flip"]}
    assert finetuning_recipe(recipe, whole=True) == {
        "learning_rate": 1e-3,
        "backbone_rate": 0.1,
        "augment": ["flip"],
    }
    assert finetuning_recipe(recipe, whole=False) == {**recipe, "backbone_rate": 0.1}


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("adadelta", 0.5), ("adamw", 1e-3), ("sgd", 0.025), ("none", 5e-4)]
)
def test_the_pace_of_fine_tuning_is_that_of_the_optimizer(optimizer: str, rate: float) -> None:
    """Half of what it has from the start; a name that is none is refused later, with the recipe."""
    tuned = finetuning_recipe({"optimizer": optimizer}, whole=False)
    assert tuned == {"optimizer": optimizer, "learning_rate": rate, "backbone_rate": 0.1}

"""What a word on the command line means."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo import InvalidValue, PluginError, ZooError
from zoo.cli.opening import builder, file_of, is_architecture, open_model, provenance, subject_of


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`runs/mine`, a run in the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/mine")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    model = zoo.compose({"name": "plain_cnn", "widths": [4]}, num_classes=2)
    zoo.save(model, folder / "best.safetensors", provenance={"data": "ours"})
    return folder


@pytest.mark.parametrize("what", ["runs/mine", "runs/mine/", "runs/mine/best.safetensors"])
def test_a_run_stands_for_its_best_model(run: Path, what: str) -> None:
    """It is opened, and asked where it came from, as the file itself is."""
    assert file_of(what) == run / "best.safetensors"
    assert open_model(what).num_classes == 2
    assert provenance(what) == {"data": "ours"}


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    "what", ["runs", "runs/", "timm/resnet18", "small@1.0.0", "a/\0", "a/" * 5000]
)
def test_what_is_no_file_is_a_ref(what: str) -> None:
    """A folder without a run, too; a text that no path can be is no error yet."""
    assert file_of(what) is None


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "runs/none",
            "There is no file and no folder 'runs/none'. Nor is it a ref: there is no registry 'runs'",
        ),
        ("./none", "There is no file and no folder './none'. Nor is it a ref: '.' is no name"),
        ("no-ne", "There is no file and no folder 'no-ne'. Nor is it a ref: 'no-ne' is no name"),
        (
            "runs/empty",
            "runs/empty is a folder, but holds no run: it has no run.json. Nor is it a ref: there is",
        ),
        (
            "empty",
            "empty is a folder, but holds no run: it has no run.json. Nor is it a ref: No variant",
        ),
        ("mine", "No variant is called 'mine'. Known: 'attn"),
        ("own", "For the run in this folder, write ./own."),
    ],
)
def test_what_is_neither_a_path_nor_a_ref_is_told_of_both(what: str, message: str) -> None:
    """A word that can be a name alone is taken for one, unless a folder is there."""
    Path("runs/empty").mkdir()
    Path("empty").mkdir()
    Path("own").mkdir()
    Path("own/run.json").write_text("{}")
    openers: tuple[Callable[[str], object], ...] = (open_model, provenance, subject_of, builder)
    for opened in openers:
        with pytest.raises(ZooError, match=re.escape(message)):
            opened(what)


@pytest.mark.parametrize("what", ["attn_cnn + se@branch", "timm/resnet18 + avg"])
def test_a_spec_is_to_be_trained(what: str) -> None:
    """It has no weights, nor figures; a path that is none is said to be no file."""
    for opened in (open_model, provenance):
        with pytest.raises(
            InvalidValue,
            match=re.escape(f"no trained weights. Train it first: zoo train '{what}' --data DATA"),
        ):
            opened(what)
        with pytest.raises(ZooError, match=r"There is no file and no folder 'runs/c\+\+/mine'"):
            opened("runs/c++/mine")


@pytest.mark.usefixtures("run")
def test_a_run_is_gone_on_with_and_not_trained() -> None:
    """Its folder is no spec."""
    with pytest.raises(InvalidValue, match=r"folder of a run.*: zoo train --resume runs/mine"):
        subject_of("runs/mine")


def test_weights_are_begun_with_and_not_trained(run: Path) -> None:
    """The message names the option."""
    with pytest.raises(
        InvalidValue,
        match=r"zoo train SPEC --start-from runs/mine/best\.safetensors; .* --finetune",
    ):
        subject_of(str(run / "best.safetensors"))


def test_a_version_that_lacks_a_plugin_says_which_to_install(make_registry: Any) -> None:
    """Whatever it is opened for, before any data are read."""
    spec = {"backbone": "attn_cnn", "attention": {"name": "one_gate", "slot": "branch"}}
    needs = {"requires": {"no-such-one": ">=0.3", "no-other": ">=0.1"}}
    registry = make_registry(a_net={"1.0.0": {"spec": spec, "blob": b"x", **needs}})
    zoo.add_registry("team", registry.base)
    openers: tuple[Callable[[str], object], ...] = (open_model, subject_of, builder)
    for opened in openers:
        with pytest.raises(PluginError, match=r"^a_net@1.*: pip install no-such-one no-other$"):
            opened("a_net@1.0.0")


def test_a_yaml_file_is_to_be_trained(run: Path) -> None:
    """The message says how; one that is not there may be meant as a ref."""
    spec = run.parent / "mine.yaml"
    assert file_of(str(spec)) is None
    spec.write_text("spec: plain_cnn")
    with pytest.raises(InvalidValue, match=r"holds no model; `zoo train runs/mine\.yaml --data"):
        file_of(str(spec))


def test_what_can_be_built_needs_no_weights(run: Path, tmp_path: Path) -> None:
    """A file, a run, a YAML file, a spec in the short form, an architecture and a ref each give a model."""
    (tmp_path / "mine.yaml").write_text("spec: plain_cnn(widths=[4]) + gem\nrecipe: {epochs: 1}\n")
    for what, head in (
        ("runs/mine", "avg"),
        (str(run / "best.safetensors"), "avg"),
        ("mine.yaml", "gem"),
        ("plain_cnn(widths=[4]) + max", "max"),
        ("timm/test_resnet", "native"),
        ("attn_cnn_mnist", "catavgmax"),
    ):
        assert builder(what)().spec.head.name == head


def test_what_a_spec_leaves_to_the_data_is_filled_in(tmp_path: Path) -> None:
    """The kind that the backbone takes, tokens, channels, and the size that an architecture asks for."""
    texts = builder("text_cnn(embedding_dim=2, maps=2) + max")().spec.input
    assert (texts.kind, texts.vocabulary_size, texts.vocabulary_bytes) == ("text", 10_000, 0)
    file = tmp_path / "texts.yaml"
    file.write_text(
        "spec: {input: {kind: text, lower: false}, backbone: {name: text_cnn, maps: 2}, head: max}\n"
    )
    assert builder(str(file))().spec.input.lower is False
    images = builder("image(channels=1) -> timm/test_resnet + avg")().spec.input
    assert (images.channels, images.size) == (1, (160, 160))
    assert builder("plain_cnn(widths=[4]) + avg")().spec.input.size is None


@pytest.mark.usefixtures("no_network")
def test_weights_of_a_backbone_are_not_fetched() -> None:
    """Only the form is asked for."""
    assert not builder("timm/test_resnet(pretrained=true) + avg")().spec.backbone.pretrained


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("attn_cnn_mnis", "No variant is called 'attn_cnn_mnis'"),
        ("none.yaml", "none.yaml cannot be read"),
        ("plain_cnn + gem + avg", "would both be the head"),
    ],
)
def test_what_cannot_be_built_is_refused_before_it_is(what: str, message: str) -> None:
    """A misspelt name is found without building anything."""
    with pytest.raises(ZooError, match=message):
        builder(what)


def test_architectures_are_those_of_a_name_space() -> None:
    """A registry's name, a folder and a bare name space are none."""
    words = ("timm/resnet18", "team/small", "runs/mine", "timm/", "timm")
    assert [is_architecture(what) for what in words] == [True, False, False, False, False]

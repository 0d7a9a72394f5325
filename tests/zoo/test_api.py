"""The verbs, from a name to a prediction."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo import (
    Catalog,
    DigestMismatch,
    InvalidRef,
    InvalidSpec,
    InvalidValue,
    Model,
    PluginError,
    Registry,
    Spec,
    UnknownName,
    WeightsError,
)
from zoo.distributions import EntryPoint
from zoo.weights import to_bytes

MakeRegistry = Callable[..., Registry]


@pytest.fixture
def model(small_spec: dict[str, Any]) -> Model:
    """Cats and dogs, with random weights."""
    torch.manual_seed(0)
    return zoo.compose(Spec.from_data(small_spec)).eval()


@pytest.fixture
def registry(make_registry: MakeRegistry, model: Model) -> Registry:
    """A registry with that model as `a_net`."""
    published = {"blob": to_bytes(model, model.plan)}
    return make_registry(a_net={"1.0.0": published, "1.1.0": {}})


def test_a_pretrained_model_is_the_published_one(registry: Registry, model: Model) -> None:
    """Ready for use, and it knows its version and digest."""
    made = zoo.create("a_net@1.0", pretrained=True, registries=[registry])
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(made(x), model(x))
    assert not made.training
    assert made.labels == ("cat", "dog")
    assert str(made.ref) == "a_net@1.0.0"
    assert made.ref is not None
    assert made.ref.sha256 is not None


def test_an_untrained_model_has_fresh_weights_and_no_version(
    registry: Registry, model: Model
) -> None:
    """It is for training; the version is of weights that it does not have."""
    made = zoo.create("a_net@1.0", registries=[registry])
    assert made.training
    assert made.ref is None
    assert made.spec == model.spec
    assert not torch.equal(made.classifier.weight, model.classifier.weight)


def test_another_number_of_classes_gets_a_fresh_classifier_and_keeps_the_rest(
    registry: Registry, model: Model
) -> None:
    """The number that it has keeps the trained one."""
    made = zoo.create("a_net@1.0", pretrained=True, num_classes=5, registries=[registry])
    assert (made.num_classes, made.labels, made.ref) == (5, None, None)
    kept = model.state_dict()
    for name, value in made.state_dict().items():
        assert name.startswith("classifier.") or torch.equal(value, kept[name])
    same = zoo.create("a_net@1.0", pretrained=True, num_classes=2, registries=[registry])
    assert torch.equal(same.classifier.weight, model.classifier.weight)


def test_pretrained_of_a_variant_is_said_by_a_bool(registry: Registry) -> None:
    """A text, that of a file, is for a backbone."""
    with pytest.raises(InvalidValue, match=r"'yes'; for a variant it is True .* or False\."):
        zoo.create("a_net@1.0", pretrained="yes", registries=[registry])


def test_a_version_without_weights_cannot_be_pretrained(registry: Registry) -> None:
    """The message says what can be done."""
    with pytest.raises(WeightsError, match=r"a_net@1\.1\.0 has no weights\. Create it without"):
        zoo.create("a_net", pretrained=True, registries=[registry])


@pytest.mark.parametrize("position", [0, 100, -1])
def test_one_flipped_bit_of_a_blob_stops_the_road(registry: Registry, position: int) -> None:
    """Nothing of it is loaded: the check of the digest says no."""
    (blob,) = (path for path in registry.root.rglob("*") if path.is_file() and path.suffix == "")
    content = bytearray(blob.read_bytes())
    content[position] ^= 1
    blob.write_bytes(content)
    with pytest.raises(DigestMismatch, match="is damaged"):
        zoo.create("a_net@1.0.0", pretrained=True, registries=[registry])


def test_a_blob_of_another_model_is_refused(
    make_registry: MakeRegistry, model: Model, small_spec: dict[str, Any]
) -> None:
    """Its digest is right, its tensors are not those of the registry's spec."""
    small_spec["backbone"]["widths"] = [4, 16]
    entry = {"blob": to_bytes(model, model.plan), "spec": small_spec}
    registry = make_registry(a_net={"1.0.0": entry})
    with pytest.raises(WeightsError, match=r"a_net@1\.0\.0 holds another model than its spec says"):
        zoo.create("a_net", pretrained=True, registries=[registry])


def test_weights_of_a_backbone_are_not_fetched_where_a_blob_holds_all(
    make_registry: MakeRegistry, model: Model, small_spec: dict[str, Any]
) -> None:
    """attn_cnn has none of its own, so that asking for them would fail."""
    small_spec["backbone"]["pretrained"] = True
    entry = {"blob": to_bytes(model, model.plan), "spec": small_spec}
    registry = make_registry(a_net={"1.0.0": entry})
    assert zoo.create("a_net", pretrained=True, registries=[registry]).num_classes == 2
    with pytest.raises(InvalidSpec, match="brings no pretrained weights of its own"):
        zoo.create("a_net", registries=[registry])


def test_bad_refs_and_unknown_names_are_told_apart(registry: Registry) -> None:
    """One is a wrong text, the other a wrong name."""
    with pytest.raises(InvalidRef, match="is no ref"):
        zoo.create("a_net@", registries=[registry])
    with pytest.raises(UnknownName, match=r"No variant is called 'b_net'. Did you mean 'a_net'"):
        zoo.create("b_net", registries=[registry])
    with pytest.raises(UnknownName, match="there is no registry 'other'"):
        zoo.describe("other/a_net", registries=[registry])


def test_a_version_is_described_as_the_registry_has_it(registry: Registry, model: Model) -> None:
    """Spec, weights and summary."""
    version = zoo.describe("a_net@1.0.0", registries=[registry])
    assert version.spec == model.spec
    assert version.summary == "The a_net."
    assert version.weights is not None


def test_a_file_alone_is_enough(model: Model, tmp_path: Path) -> None:
    """Spec, labels and weights; and what was said beside them."""
    path = zoo.save(model, tmp_path / "m.safetensors", metrics={"a/b/c": {"mean": 0.5}})
    again = zoo.load(path)
    assert not again.training
    assert again.labels == ("cat", "dog")
    sample = np.full((8, 8, 3), 128, np.uint8)
    assert zoo.predict(again, sample) == zoo.predict(model, sample)


@pytest.mark.parametrize("path", [None, 3])
def test_only_paths_are_loaded(path: Any) -> None:
    """The message says of what."""
    with pytest.raises(InvalidValue, match=rf"takes the path of a file .*; got {path}\.$"):
        zoo.load(path)


def test_saving_into_a_folder_that_is_not_there_is_an_error(model: Model, tmp_path: Path) -> None:
    """Nothing is made on the way."""
    with pytest.raises(InvalidValue, match="cannot be written: No such file or directory"):
        zoo.save(model, tmp_path / "gone" / "m.safetensors")
    assert not (tmp_path / "gone").exists()


def test_only_our_models_are_saved(tmp_path: Path) -> None:
    """A plain module has no spec."""
    with pytest.raises(InvalidValue, match=r"zoo.save takes a model from .*; got Linear"):
        zoo.save(nn.Linear(1, 1), tmp_path / "m.safetensors")  # type: ignore[arg-type]  # the point


class Mine(nn.Module):
    """An attention of a plug-in."""

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scale."""
        return x * self.scale


@pytest.fixture
def file_of_a_plugin(own_catalog: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that was saved with attention/mine of distribution my-dist."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_hooks.py").write_text(
        "from zoo import Component, hookimpl\n@hookimpl\ndef zoo_attentions():\n"
        f"    return [Component(name='mine', family='channel', target='{__name__}:Mine')]\n"
    )
    monkeypatch.setitem(
        __import__("sys").modules, __name__, __import__("types").SimpleNamespace(Mine=Mine)
    )
    catalog = Catalog([*_ours(), EntryPoint("my_hooks", "my_hooks", "my-dist", "1.2")])
    model = zoo.compose("attn_cnn", {"name": "mine", "slot": "last"}, catalog=catalog)
    return zoo.save(model, tmp_path / "m.safetensors")


def _ours() -> list[EntryPoint]:
    return [
        EntryPoint(n, n, "attn-zoo", "0.1.0") for n in ("zoo_attention", "zoo_cnn", "zoo_pooling")
    ]


def test_a_file_that_needs_a_missing_plugin_says_which_to_install(file_of_a_plugin: Path) -> None:
    """By distribution and version."""
    with pytest.raises(
        PluginError,
        match=r"needs attention/mine, which came with my-dist 1\.2\. Install it: pip install my-dist",
    ):
        zoo.load(file_of_a_plugin)


def test_a_plugin_that_is_installed_but_left_out_is_not_to_be_installed(
    file_of_a_plugin: Path,
) -> None:
    """The message says why it is left out."""
    entry = EntryPoint("my_hooks", "my_hooks", "my-dist", "1.2")
    catalog = Catalog([*_ours(), entry], disable=["my_hooks"])
    with pytest.raises(
        PluginError,
        match=r"came with my-dist 1\.2\. my_hooks of my-dist is installed, but disabled\.$",
    ):
        zoo.load(file_of_a_plugin, catalog=catalog)


def test_every_plugin_that_a_file_or_a_version_needs_is_named(
    make_registry: Any, small_spec: dict[str, Any], tmp_path: Path
) -> None:
    """One command installs them all; a version that has no weights says so, too."""
    attention = [{"name": name, "slot": "branch"} for name in ("one_gate", "other_gate")]
    spec = {**small_spec, "attention": attention}
    requires = {"attn-zoo": ">=0.1", "no-such-one": ">=0.3", "no-other": ">=0.1"}
    registry = make_registry(a_net={"1.0.0": {"spec": spec, "requires": requires, "blob": b"x"}})
    for pretrained in (False, True):
        with pytest.raises(
            PluginError,
            match=r"^a_net@1\.0\.0 needs what is not installed here: no-such-one >=0\.3, installed: none; .*"
            r"Install them: pip install no-such-one no-other$",
        ):
            zoo.create("a_net@1.0.0", pretrained=pretrained, registries=[registry])
    came = {
        f"attention/{name}": [name.replace("_", "-"), "1.0"] for name in ("one_gate", "other_gate")
    }
    metadata = {"zoo": json.dumps({"format": 1, "spec": spec, "components": came})}
    header = json.dumps({"__metadata__": metadata}).encode()
    (tmp_path / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(
        PluginError,
        match=r"needs attention/one_gate, which came with one-gate 1\.0; and attention/other_gate, .* 1\.0\. "
        r"Install them: pip install one-gate other-gate$",
    ):
        zoo.load(tmp_path / "m.safetensors")


def test_a_version_of_which_all_is_installed_says_what_nobody_offers(
    make_registry: Any, small_spec: dict[str, Any]
) -> None:
    """Then a plug-in is broken or left out."""
    spec = {**small_spec, "attention": [{"name": "one_gate", "slot": "branch"}]}
    registry = make_registry(a_net={"1.0.0": {"spec": spec}})
    with pytest.raises(
        PluginError, match=r"^a_net@1\.0\.0: No plug-in offers attention/one_gate\."
    ):
        zoo.create("a_net", registries=[registry])


def test_a_file_of_a_notebook_says_that_no_distribution_brings_it(
    own_catalog: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registering it again makes it load."""
    zoo.attention("mine", family="channel")(Mine)
    path = zoo.save(
        zoo.compose("attn_cnn", {"name": "mine", "slot": "last"}), tmp_path / "m.safetensors"
    )
    monkeypatch.setattr(zoo.plugins, "_default", None)
    with pytest.raises(
        PluginError,
        match=r"needs attention/mine, which was registered in the process .* belongs to .* Register it here",
    ):
        zoo.load(path)
    zoo.attention("mine", family="channel")(Mine)
    assert isinstance(zoo.load(path).last, Mine)


def test_what_a_hostile_file_says_of_its_plugins_is_not_repeated(tmp_path: Path) -> None:
    """No command and no terminal code reaches the message."""
    spec = {"backbone": "nothing_like_it"}
    said = {"backbone/nothing_like_it": ["x; rm -rf ~", "1\x1b[2J"], "\x1b[31m": ["a", "1"]}
    metadata = {"zoo": json.dumps({"format": 1, "spec": spec, "components": said})}
    header = json.dumps({"__metadata__": metadata}).encode()
    (tmp_path / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(PluginError, match="needs backbone/nothing_like_it") as caught:
        zoo.load(tmp_path / "m.safetensors")
    assert "\x1b" not in str(caught.value)
    assert "rm -rf" not in str(caught.value)


def test_predictions_are_labels_with_probabilities_the_likeliest_first(model: Model) -> None:
    """They sum to one; without labels classes are numbered."""
    sample = np.zeros((20, 10, 3), np.uint8)
    first, second = zoo.predict(model, sample)
    assert {first.label, second.label} == {"cat", "dog"}
    assert first.probability >= second.probability
    assert first.probability + second.probability == pytest.approx(1)
    assert len(zoo.predict(model, sample, top=1)) == 1
    model.reset_classifier(2)
    assert zoo.predict(model, sample)[0].label in ("class 0", "class 1")


def test_predicting_leaves_every_part_in_its_mode(model: Model) -> None:
    """A frozen norm in a model that trains stays frozen, also after an error."""
    model.train()
    model.backbone.norm.eval()
    modes = [module.training for module in model.modules()]
    zoo.predict(model, np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InvalidValue, match="An image is a path"):
        zoo.predict(model, 3)
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("top", [0, -1, 1.5, True])
def test_top_is_a_whole_number_of_at_least_one(model: Model, top: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidValue, match=r"top is .*; give a whole number of at least 1"):
        zoo.predict(model, np.zeros((8, 8, 3), np.uint8), top=top)


def test_scores_that_are_no_numbers_are_no_prediction(model: Model) -> None:
    """One weight is enough."""
    with torch.no_grad():
        model.classifier.weight[0, 0] = float("nan")
    with pytest.raises(InvalidValue, match="scores are no numbers: its weights are"):
        zoo.predict(model, np.zeros((8, 8, 3), np.uint8))


def test_a_model_without_classes_does_not_predict(model: Model) -> None:
    """It says how it would."""
    model.reset_classifier(0)
    with pytest.raises(
        InvalidValue, match=r"gives features, not classes. Compose it with num_classes"
    ):
        zoo.predict(model, np.zeros((8, 8, 3), np.uint8))


def test_a_whole_spec_is_composed_as_it_is(small_spec: dict[str, Any]) -> None:
    """Alone, as a Spec or as its plain data."""
    spec = Spec.from_data(small_spec)
    for whole in (spec, small_spec):
        assert zoo.compose(whole).spec == spec
        with pytest.raises(InvalidSpec, match="A whole spec is composed as it is"):
            zoo.compose(whole, num_classes=3)


@pytest.fixture
def listed(make_registry: MakeRegistry, small_spec: dict[str, Any]) -> list[Registry]:
    """Two registries that share a name."""
    plain = {**small_spec, "attention": []}
    figures = {"metrics": {"mnist/test/top1": {"mean": 0.9}}, "params": 300}
    first = make_registry(
        "first",
        id="first",
        attn_small={"1.0.0": figures, "2.0.0-rc1": {}},
        attn_large={"1.0.0": {"params": 3000, "metrics": {"mnist/test/top1": {"mean": 0.95}}}},
        bare={"1.0.0": {"spec": plain}},
        gone={"1.0.0": {"status": {"yanked": "wrong"}}},
    )
    second = make_registry(
        "second", id="second", attn_small={"9.0.0": {}}, gone={"2.0.0": {}}, other={"1.0.0": {}}
    )
    return [first, second]


@pytest.mark.parametrize(
    ("query", "refs"),
    [
        ({}, ["attn_large@1.0.0", "attn_small@1.0.0", "bare@1.0.0", "other@1.0.0"]),
        ({"pattern": "attn_*"}, ["attn_large@1.0.0", "attn_small@1.0.0"]),
        ({"pattern": "attn_?mall"}, ["attn_small@1.0.0"]),
        ({"pattern": "nothing*"}, []),
        ({"attention": "se", "max_params": 1000}, ["attn_small@1.0.0"]),
        ({"family": "channel", "pattern": "[ab]*"}, ["attn_large@1.0.0", "attn_small@1.0.0"]),
        ({"family": "self"}, []),
        ({"max_params": 3000, "sort": "params"}, ["attn_small@1.0.0", "attn_large@1.0.0"]),
        (
            {"sort": "params"},
            ["attn_small@1.0.0", "attn_large@1.0.0", "bare@1.0.0", "other@1.0.0"],
        ),
        (
            {"sort": "mnist/test/top1"},
            ["attn_large@1.0.0", "attn_small@1.0.0", "bare@1.0.0", "other@1.0.0"],
        ),
    ],
)
def test_variants_are_listed_by_what_they_are(
    listed: list[Registry], query: dict[str, Any], refs: list[str]
) -> None:
    """As their plain names resolve: `gone` is withdrawn in the registry that answers for it."""
    assert [row.ref for row in zoo.list_variants(registries=listed, **query)] == refs


def test_a_pattern_is_a_text() -> None:
    """The message shows one."""
    with pytest.raises(InvalidValue, match=r"pattern is 3; give a text, e\.g\. 'attn_\*'"):
        zoo.list_variants(3)  # type: ignore[arg-type]  # the mistake in question
    with pytest.raises(InvalidValue, match=r"head is 3; give a text"):
        zoo.list_variants(head=3)  # type: ignore[arg-type]  # the mistake in question


def test_every_listed_name_resolves_to_the_listed_version(listed: list[Registry]) -> None:
    """What is listed can be created under its plain name."""
    for row in zoo.list_variants(registries=listed):
        version = zoo.describe(row.ref.partition("@")[0], registries=listed)
        assert str(version.ref) == row.ref


def test_wrong_words_in_a_query_are_answered_with_the_right_ones(listed: list[Registry]) -> None:
    """Families, figures and components."""
    with pytest.raises(UnknownName, match=r"There is no family 'chanel'. Did you mean 'channel'"):
        zoo.list_variants(family="chanel", registries=listed)
    with pytest.raises(
        UnknownName, match=r"Nothing to sort by is called 'parms'. Did you mean 'params'"
    ):
        zoo.list_variants(sort="parms", registries=listed)
    with pytest.raises(
        UnknownName, match=r"No variant has a metric 'mnist/test/top2'. Did you mean 'mnist/test/t"
    ):
        zoo.list_variants(metric="mnist/test/top2>0.9", registries=listed)
    for words, message in (
        ({"attention": "cbmm"}, r"No plug-in offers attention/cbmm\. Did you mean 'cbam'"),
        ({"head": "cbam"}, r"No plug-in offers head/cbam\. cbam is an attention"),
    ):
        with pytest.raises(UnknownName, match=message):
            zoo.list_variants(**words, registries=listed)  # type: ignore[arg-type]  # texts all


def test_a_component_may_be_asked_for_that_a_variant_has_or_a_plug_in_offers(
    listed: list[Registry], make_registry: MakeRegistry, small_spec: dict[str, Any]
) -> None:
    """The variant's plug-in need not be here, nor a variant of what the plug-in offers."""
    spec = {**small_spec, "attention": [{"name": "theirs", "slot": "branch"}]}
    theirs = make_registry("third", id="third", their_net={"1.0.0": {"spec": spec}})
    found = zoo.list_variants(attention="theirs", registries=[*listed, theirs])
    assert [row.ref for row in found] == ["their_net@1.0.0"]
    assert zoo.list_variants(attention="theirs", head="gem", registries=[theirs]) == []
    assert zoo.list_variants(attention="thei*", head="x*", registries=[theirs]) == []
    assert zoo.list_variants(attention="cbam", backbone="timm/any", registries=listed) == []


def test_the_registry_of_a_plugin_that_is_broken_is_left_out(
    own_catalog: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a warning that names the file; the built-in one works."""
    from zoo.plugins import PluginWarning
    from zoo.registry.defaults import default_registries

    (tmp_path / "registry.yaml").write_text("schema: 1\nid: [")
    monkeypatch.setattr(Catalog, "registries", [str(tmp_path), os.devnull])
    with pytest.warns(
        PluginWarning, match=r"A plug-in's registry is left out: .*registry"
    ) as caught:
        assert [registry.name for registry in default_registries()] == ["zoo"]
    assert len(caught) == 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_files_do_not_depend_on_what_dtype_is_usual(dtype: torch.dtype, tmp_path: Path) -> None:
    """Those of float32 are loaded as they are, and no others are written."""
    path = zoo.save(zoo.compose("plain_cnn(widths=[4])", num_classes=2), tmp_path / "a.safetensors")
    torch.set_default_dtype(dtype)
    try:
        model = zoo.load(path)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert torch.get_default_dtype() == dtype
        again = zoo.save(model, tmp_path / "b.safetensors")
        other = zoo.compose("plain_cnn(widths=[4])", num_classes=2)
        with pytest.raises(InvalidValue, match=r"model\.float\(\)"):
            zoo.save(other, tmp_path / "c.safetensors")
        zoo.save(other.float(), tmp_path / "c.safetensors")
    finally:
        torch.set_default_dtype(torch.float32)
    assert again.read_bytes() == path.read_bytes()
    zoo.load(tmp_path / "c.safetensors")


@pytest.mark.parametrize("metrics", [{"acc": 0.9}, {"own/test/top1": {"mean": 90.0}}])
def test_figures_that_could_not_be_published_are_not_saved(
    metrics: dict[str, Any], tmp_path: Path
) -> None:
    """It is said where it can be mended."""
    model = zoo.compose("plain_cnn(widths=[4])", num_classes=2)
    with pytest.raises(InvalidValue, match="The metrics cannot be kept"):
        zoo.save(model, tmp_path / "a.safetensors", metrics=metrics)
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_wrapped_is_told_apart(tmp_path: Path) -> None:
    """The model is in it, as the message says."""
    model = zoo.compose("plain_cnn(widths=[4])", num_classes=2)
    with pytest.raises(InvalidValue, match=r"got OptimizedModule\. .*: model\._orig_mod\."):
        zoo.save(torch.compile(model), tmp_path / "a.safetensors")
    with pytest.raises(InvalidValue, match=r"got DataParallel\. .*: model\.module\."):
        zoo.freeze(torch.nn.DataParallel(model))  # type: ignore[arg-type]  # that is the point


def test_a_prediction_takes_a_model_not_its_name() -> None:
    """The command takes a name; in Python the error says how to come to a model."""
    with pytest.raises(zoo.InvalidValue, match=r"zoo\.predict takes a model from zoo\.create"):
        zoo.predict("attn_cnn_small", "photo.jpg")


def test_attentions_may_be_written_in_short() -> None:
    """A list of texts with slots, and single numbers for stages, are blocks in short."""
    short = zoo.compose("attn_cnn", ["se@branch(reduction=4, stages=2)", "eca@last"])
    long = zoo.compose(
        "attn_cnn",
        [
            {"name": "se", "slot": "branch", "reduction": 4, "stages": 2},
            {"name": "eca", "slot": "last"},
        ],
    )
    assert short.spec == long.spec
    with pytest.raises(zoo.InvalidSpec, match="'se' says no slot; give one of branch, block"):
        zoo.compose("attn_cnn", "se")


@pytest.mark.parametrize(
    ("field", "value", "near"),
    [("slot", "brnch", "branch"), ("start", "identiy", "identity"), ("blocks", "frist", "first")],
)
def test_a_misspelt_word_of_a_placement_is_answered_with_the_near_one(
    field: str, value: str, near: str
) -> None:
    """The words of the core get near misses, as options do."""
    with pytest.raises(zoo.InvalidSpec, match=f"{value}' is unknown. Did you mean '{near}'"):
        zoo.compose("attn_cnn", {"name": "se", "slot": "branch", field: value})

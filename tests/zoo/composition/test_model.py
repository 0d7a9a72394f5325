"""The model: masks, classifiers, and the manners of timm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo import InvalidSpec, InvalidValue, Model, PluginError

BLOCKS: dict[str, dict[str, Any]] = {
    "attn_cnn": {"name": "attn_cnn", "widths": [8, 16, 24], "depths": 2},
    "plain_cnn": {"name": "plain_cnn", "widths": [8, 16], "depths": 2},
}
SLOTS = {"attn_cnn": ["branch", "block", "stage", "last"], "plain_cnn": ["block", "stage", "last"]}
EACH = pytest.mark.parametrize("backbone", sorted(BLOCKS))
EACH_NDIM = pytest.mark.parametrize("ndim", [1, 2])


def composed(
    backbone: str = "attn_cnn", *attention: dict[str, Any], ndim: int = 2, **fields: Any
) -> Model:
    """A model whose every parameter and statistic is random, so that none stays neutral."""
    torch.manual_seed(0)
    kind = "image" if ndim == 2 else "sequence"
    fields = {"num_classes": 3, **fields}
    block = {**BLOCKS[backbone], "ndim": ndim}
    model = zoo.compose(block, list(attention), input={"kind": kind, "channels": 3}, **fields)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(
                    torch.rand_like(value) * 0.5 + 0.1
                    if "var" in name
                    else torch.randn_like(value) * 0.2
                )
    return model.eval()


@EACH
@EACH_NDIM
@pytest.mark.parametrize("attention", [None, "se", "eca", "cbam", "simam", "mhsa"])
@pytest.mark.parametrize("filler", [0.0, 7.0, float("nan")])
def test_padding_changes_nothing(
    backbone: str, ndim: int, attention: str | None, filler: float
) -> None:
    """Logits of odd sizes are those without padding, whatever stands in it and however much there is."""
    placed = [{"name": attention, "slot": slot} for slot in SLOTS[backbone]] if attention else []
    model = composed(backbone, *placed, ndim=ndim)
    for side in (5, 8, 11):
        x = torch.randn(2, 3, *[side] * ndim)
        expected = model(x)
        for more in (1, 6):
            padded = x.new_full((2, 3, *[side + more] * ndim), filler)
            mask = torch.zeros(2, *[side + more] * ndim, dtype=torch.bool)
            window = (slice(side),) * ndim
            padded[(..., *window)] = x
            mask[(..., *window)] = True
            torch.testing.assert_close(model(padded, mask), expected, rtol=1e-4, atol=1e-4)


@EACH
def test_samples_of_different_lengths_share_a_batch(backbone: str) -> None:
    """Each gives what it gives alone."""
    model = composed(backbone, {"name": "mhsa", "slot": "last"}, ndim=1)
    batch = torch.randn(2, 3, 20)
    mask = torch.arange(20) < torch.tensor([[20], [13]])
    together = model(batch, mask)
    alone = torch.cat([model(batch[:1]), model(batch[1:, :, :13])])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@EACH
@EACH_NDIM
def test_a_mask_of_ones_is_no_mask(backbone: str, ndim: int) -> None:
    """Up to rounding."""
    model = composed(backbone, {"name": "cbam", "slot": "block"}, ndim=ndim)
    x = torch.randn(2, 3, *[9] * ndim)
    torch.testing.assert_close(model(x, torch.ones(2, *[9] * ndim, dtype=torch.bool)), model(x))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(2, 3, 8, 8, dtype=torch.bool), r"torch.bool of shape \(2, 3, 8, 8\)"),
        (
            torch.ones(2, 8, 9, dtype=torch.bool),
            r"shape \(2, 8, 9\); for this input .* \(2, 8, 8\)",
        ),
        (torch.ones(2, 8, 8), r"The mask is torch.float32"),
    ],
)
def test_a_mask_of_another_shape_or_type_is_refused(mask: Tensor, message: str) -> None:
    """With the one that fits."""
    with pytest.raises(InvalidValue, match=message):
        composed()(torch.randn(2, 3, 8, 8), mask)


class NoMask(nn.Module):
    """An attention that knows nothing of masks."""

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Return x."""
        return x * 1


def test_a_mask_that_a_part_cannot_honour_is_refused(own_catalog: None) -> None:
    """Said by the component, seen from its forward, or because of its slot."""
    zoo.attention("says_so", family="channel", mask=False)(NoMask)
    zoo.attention("says_nothing", family="channel")(NoMask)
    x, mask = torch.randn(2, 3, 8, 8), torch.ones(2, 8, 8, dtype=torch.bool)
    for attention, message in [
        ({"name": "says_so", "slot": "last"}, "takes no mask: attention/says_so cannot honour one"),
        ({"name": "says_nothing", "slot": "last"}, r"takes no mask: NoMask.forward cannot"),
        ({"name": "se", "slot": "conv"}, "takes no mask: se@conv cannot honour one"),
    ]:
        model = composed("attn_cnn", attention)
        assert model(x).shape == (2, 3)
        with pytest.raises(InvalidValue, match=message):
            model(x, mask)


@pytest.mark.parametrize("slot", ["branch", "block", "stage"])
@pytest.mark.parametrize("mask", [True, False])
def test_an_attention_that_a_block_cannot_call_is_refused(
    slot: str, mask: bool, own_catalog: None
) -> None:
    """Blocks give a mask to what stands in them, whatever the component says: it fails when composed, not trained."""
    zoo.attention("no_mask", family="channel", mask=mask)(NoMask)
    with pytest.raises(
        PluginError,
        match=r"^attention/no_mask of this process .* takes no mask.*NoMask.forward is to be",
    ):
        composed("attn_cnn", {"name": "no_mask", "slot": slot})


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.randn(2, 1, 8, 8), r"takes \(batch, 3, height, width\); got .*\(2, 1, 8, 8\)"),
        (torch.randn(3, 8, 8), r"takes \(batch, 3, height, width\); got .*\(3, 8, 8\)"),
        (
            torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
            r"floating-point values; got torch.uint8. Use",
        ),
    ],
)
def test_an_input_that_does_not_fit_is_refused(x: Tensor, message: str) -> None:
    """With the shape that does."""
    with pytest.raises(InvalidValue, match=message):
        composed()(x)


def test_a_model_has_the_parts_that_timm_gives_names() -> None:
    """Calling it is forward_head after forward_features; pre_logits stops before the classifier."""
    model = composed(head={"name": "catavgmax", "hidden": [10, 7], "dropout": 0.5})
    x = torch.randn(2, 3, 16, 12)
    features = model.forward_features(x)
    assert features.shape == (2, 24, 4, 3)
    assert (model.num_features, model.head_hidden_size, model.num_classes) == (24, 7, 3)
    hidden = model.forward_head(features, pre_logits=True)
    assert hidden.shape == (2, 7)
    assert torch.equal(model.get_classifier()(hidden), model(x))
    assert torch.equal(model.forward_head(features), model(x))


def test_without_classes_a_model_gives_features() -> None:
    """0 classes, or none said."""
    for fields in ({"num_classes": 0}, {"num_classes": None}):
        model = composed(**fields)
        assert model.num_classes == 0
        assert isinstance(model.get_classifier(), nn.Identity)
        assert model(torch.randn(2, 3, 8, 8)).shape == (2, 24)


def test_reset_classifier_puts_a_fresh_one_in_place_and_keeps_the_rest() -> None:
    """The spec follows; the model is no published version any more."""
    model = composed(num_classes=None, labels=["a", "b"])
    model.double()
    kept = model.backbone.state_dict()
    model.reset_classifier(5)
    assert (model.num_classes, model.labels, model.ref) == (5, None, None)
    assert model.get_classifier().weight.dtype == torch.float64
    assert all(
        value is kept[name] or torch.equal(value, kept[name])
        for name, value in model.backbone.state_dict().items()
    )
    assert model(torch.randn(2, 3, 8, 8, dtype=torch.float64)).shape == (2, 5)
    model.reset_classifier(2, labels=["x", "y"])
    assert model.labels == ("x", "y")
    model.reset_classifier(0)
    assert model(torch.randn(2, 3, 8, 8, dtype=torch.float64)).shape == (2, 24)


@pytest.mark.parametrize("number", [-1, 2.0, True, "3", None])
def test_reset_classifier_takes_whole_numbers(number: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidValue, match=r"num_classes is .*; give a whole number of at least 0"):
        composed().reset_classifier(number)


def test_reset_classifier_wants_a_label_for_each_class() -> None:
    """Or none."""
    with pytest.raises(InvalidValue, match="1 labels for 2 classes; give one a class"):
        composed().reset_classifier(2, labels=["a"])


def test_a_backbone_without_a_head_of_its_own_has_no_native_one() -> None:
    """The message says what to do."""
    with pytest.raises(
        InvalidSpec, match=r"head: attn_cnn brings no head of its own; choose one, e.g. 'avg'"
    ):
        composed(head="native")


class LoudestPosition(nn.Module):
    """A head of a plug-in author: each class takes its best position."""

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()
        self.out_features = channels
        self.scale = nn.Parameter(torch.ones(()))

    def make_classifier(self, num_classes: int) -> nn.Module:
        """One vector a class."""
        return nn.Linear(self.out_features, num_classes, bias=False)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, *, classifier: nn.Module | None = None
    ) -> Tensor:
        """Return scores, or the mean of all positions."""
        vectors = self.scale * x.flatten(2).transpose(1, 2)
        if classifier is None:
            return vectors.mean(1)
        scores = classifier(vectors)
        if mask is not None:
            scores = scores.where(mask.flatten(1).unsqueeze(2), -torch.inf)
        return scores.amax(1)


def test_a_head_may_classify_before_it_pools(own_catalog: None) -> None:
    """It makes the classifier and is called with it; features come out where no classes are asked for."""
    zoo.head("loudest")(LoudestPosition)
    model = composed(head={"name": "loudest", "dropout": 0.5})
    x = torch.randn(2, 3, 16, 12)
    features = model.forward_features(x)
    scores = model.get_classifier()(features.flatten(2).transpose(1, 2) * model.head.scale)
    torch.testing.assert_close(model(x), scores.amax(1))
    pooled = model.forward_head(features, pre_logits=True)
    torch.testing.assert_close(pooled, features.mean((2, 3)) * model.head.scale)
    assert (model.head_hidden_size, model.get_classifier().bias) == (24, None)
    mask = torch.zeros(2, 16, 12, dtype=torch.bool)
    mask[:, :8] = True
    assert not torch.allclose(model(x, mask), model(x))


def test_such_a_head_makes_its_classifier_again_for_other_classes(own_catalog: None) -> None:
    """With the dtype of the model, and without touching what else the head has."""
    zoo.head("loudest")(LoudestPosition)
    model = composed(head="loudest").double()
    x, scale = torch.randn(2, 3, 8, 8).double(), model.head.scale
    model.reset_classifier(5)
    assert model.get_classifier().weight.shape == (5, 24)
    assert model(x).shape == (2, 5)
    assert model.head.scale is scale
    model.reset_classifier(0)
    assert isinstance(model.get_classifier(), nn.Identity)
    torch.testing.assert_close(model(x), model.forward_head(model.forward_features(x)))
    assert model(x).shape == (2, 24)


def test_such_a_model_is_saved_and_loaded(own_catalog: None, tmp_path: Path) -> None:
    """Its classifier among the weights; what it gives is trained by the loss of its scores."""
    zoo.head("loudest")(LoudestPosition)
    model = composed(head="loudest")
    x = torch.randn(2, 3, 8, 8)
    loaded = zoo.load(zoo.save(model, tmp_path / "model.safetensors")).eval()
    assert torch.equal(loaded(x), model(x))
    model(x).sum().backward()
    assert model.get_classifier().weight.grad is not None
    groups = zoo.parameter_groups(model, learning_rates={"backbone": 0.1, "head": 0.2})
    trained = [p for group in groups if group["lr"] == 0.2 for p in group["params"]]
    assert any(p is model.get_classifier().weight for p in trained)


def test_such_a_head_leaves_no_room_for_dense_layers(own_catalog: None) -> None:
    """The message says what to leave out."""
    zoo.head("loudest")(LoudestPosition)
    with pytest.raises(
        InvalidSpec, match=r"loudest classifies before it pools.* leave 'hidden' out"
    ):
        composed(head={"name": "loudest", "hidden": [8]})


def test_a_model_is_exported_with_a_free_batch() -> None:
    """torch.export takes it, and the program computes the same for another batch."""
    stages = {"branch": [1], "conv": [2], "block": [3], "stage": [1]}
    placed = [
        {"name": "se", "slot": s, "stages": n, "start": "identity"} for s, n in stages.items()
    ]
    model = composed("attn_cnn", *placed, {"name": "mhsa", "slot": "last"})
    x = torch.randn(2, 3, 16, 16)
    free = {"x": {0: torch.export.Dim("n", min=2)}}
    program = torch.export.export(model, (x,), dynamic_shapes=free)
    wider = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(program.module()(wider), model(wider))


class Wrong(nn.Module):
    """A component without what its contract asks for."""

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()


def test_components_that_break_their_contract_are_named(own_catalog: None) -> None:
    """What is missing is said, and of which component."""
    no_ndim = type("NoNdim", (nn.Module,), {"__init__": lambda self, channels: None})
    zoo.attention("no_ndim", family="channel")(no_ndim)
    zoo.head("no_width")(Wrong)
    zoo.backbone("no_slots")(
        type("NoSlots", (nn.Module,), {"__init__": lambda self, c: nn.Module.__init__(self)})
    )
    zoo.attention("no_module", family="channel")(type("NoModule", (), {}))
    x = {"name": "no_ndim", "slot": "last"}
    with pytest.raises(PluginError, match=r"attention/no_ndim .* does not take the keyword 'ndim'"):
        zoo.compose("attn_cnn", x)
    with pytest.raises(PluginError, match=r"attention/no_module .* is no nn.Module: NoModule"):
        zoo.compose("attn_cnn", {"name": "no_module", "slot": "last"})
    with pytest.raises(PluginError, match=r"head/no_width .* has no 'out_features'"):
        zoo.compose("attn_cnn", head="no_width")
    with pytest.raises(PluginError, match=r"backbone/no_slots .* has no 'ndim'"):
        zoo.compose("no_slots")


class Summary(nn.Module):
    """An attention that gives one value a channel, as a gate that somebody forgot to multiply."""

    def __init__(self, channels: int, *, ndim: int = 2, fails: bool = False) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels).eval()
        self.fails = fails

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the means, (N, C, 1, 1)."""
        if self.fails and x.shape[2] < 5:
            raise RuntimeError("too small")
        return self.norm(x).mean((2, 3), keepdim=True)


class Tried(Summary):
    """The same, of the right shape; it draws random numbers."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x, a little off."""
        return x + super().forward(x, mask) + 1e-3 * torch.randn_like(x)


@pytest.mark.parametrize("slot", ["branch", "block", "stage", "last", "conv"])
def test_an_attention_that_does_not_keep_the_shape_is_refused(slot: str, own_catalog: None) -> None:
    """Added to a branch it would be spread over the map, and nobody would notice."""
    zoo.attention("summary", family="channel", ndims=(2,))(Summary)
    message = (
        r"attention/summary .* gives \(1, 8, 1, 1\) for a map \(1, 8, 2, 2\); an attention keeps"
    )
    with pytest.raises(PluginError, match=message):
        zoo.compose(
            {"name": "attn_cnn", "widths": [8], "depths": 1}, {"name": "summary", "slot": slot}
        )


def test_trying_the_shape_leaves_no_trace(own_catalog: None) -> None:
    """Modes and random numbers stay; what a small map alone cannot do is no error."""
    drawn = []
    zoo.attention("tried", family="channel")(Tried)
    for attentions in ([], [{"name": "tried", "slot": "last"}]):
        torch.manual_seed(0)
        model = zoo.compose("plain_cnn", attentions, num_classes=2)
        drawn.append(model.get_classifier().weight)
    assert torch.equal(*drawn)
    assert model.last.training
    assert not model.last.norm.training
    block = {"name": "tried", "slot": "last", "fails": True}
    assert zoo.compose("plain_cnn", block).last.fails


def test_a_component_that_raises_is_named_with_its_options(own_catalog: None) -> None:
    """Whatever it raises."""

    def fail(self: nn.Module, channels: int, *, ndim: int = 2, depth: int = 3) -> None:
        raise ZeroDivisionError("by zero")

    zoo.attention("fails", family="channel")(type("Fails", (nn.Module,), {"__init__": fail}))
    with pytest.raises(
        InvalidSpec, match=r"fails.* cannot be built with .'depth': 2.: ZeroDivisionError"
    ):
        zoo.compose("attn_cnn", {"name": "fails", "slot": "last", "depth": 2})


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (
            {"attention": {"name": "se", "slot": "last", "reducton": 8}},
            r"attention\[0\] .se@last.: attention/se has no option 'reducton'. Did you mean 'reduction'",
        ),
        (
            {"backbone": {"name": "attn_cnn", "width": [8]}},
            "backbone: backbone/attn_cnn has no option 'width'. Did you mean 'widths'",
        ),
        ({"head": {"name": "gem", "pp": 3}}, "head: head/gem has no option 'pp'"),
        (
            {"backbone": {"name": "attn_cnn", "widths": [8, 8], "depths": [1]}},
            "backbone: attn_cnn: 2 widths",
        ),
        ({"backbone": {"name": "attn_cnn", "widths": []}}, r"widths is \[\]; give whole numbers"),
        (
            {"backbone": {"name": "attn_cnn", "kernel_size": 2}},
            "kernel_size is 2; give an odd number",
        ),
        ({"backbone": {"name": "attn_cnn", "ndim": 3}}, "ndim is 3; give 1 for"),
        (
            {"backbone": {"name": "attn_cnn", "ndim": 1}},
            "input: kind 'image' does not fit attn_cnn of ndim 1",
        ),
        (
            {"backbone": {"name": "attn_cnn", "pretrained": True}},
            "attn_cnn brings no pretrained weights of its own",
        ),
        (
            {"backbone": {"name": "attn_cnn", "in_channels": 3}},
            "backbone/attn_cnn has no option 'in_channels'",
        ),
    ],
)
def test_a_wrong_option_is_named_with_its_place(blocks: dict[str, Any], message: str) -> None:
    """And the near miss."""
    with pytest.raises(InvalidValue, match=message):
        zoo.compose(**{"backbone": "attn_cnn", **blocks})


@pytest.mark.parametrize("width", [10**14, 10**24])
@pytest.mark.parametrize("part", ["hidden", "classes"])
def test_a_layer_that_no_memory_holds_is_refused(width: int, part: str) -> None:
    """The message says how large it would be."""
    head = {"name": "avg", "hidden": [width]} if part == "hidden" else "avg"
    classes = width if part == "classes" else 2
    with pytest.raises(InvalidValue, match=f"A layer of [0-9]+ by {width} weights cannot be made"):
        zoo.compose("attn_cnn", head=head, num_classes=classes)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "a"], "labels.*without repeats"),
        ([0, 1], "Expected `str`, got `int`.*labels"),
        ("ab", "labels is the text 'ab'; give a list"),
    ],
)
def test_labels_that_no_spec_takes_are_refused(labels: Any, message: str) -> None:
    """At once, and not when the model's file is read."""
    model = zoo.compose("attn_cnn(widths=[8])", num_classes=3)
    with pytest.raises(InvalidValue, match=message):
        model.reset_classifier(2, labels=labels)
    assert model.num_classes == model.get_classifier().out_features == 3

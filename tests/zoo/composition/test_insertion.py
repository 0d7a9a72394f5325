"""Attentions in slots: every slot of every native backbone, in order, where the placement says."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo import InvalidSpec, Model, UnknownName
from zoo.composition.insertion import After, Chain, IdentityStart

BACKBONES: dict[str, dict[str, Any]] = {
    "attn_cnn": {"name": "attn_cnn", "widths": [8, 16, 24], "depths": [1, 2, 3]},
    "plain_cnn": {"name": "plain_cnn", "widths": [8, 16, 24], "depths": [1, 2, 3]},
}
SLOTS = {
    "attn_cnn": {"branch": 6, "block": 6, "stage": 3, "last": 1, "conv": 6},
    "plain_cnn": {"block": 6, "stage": 3, "last": 1, "conv": 6},
}
EACH_SLOT = pytest.mark.parametrize(
    ("backbone", "slot", "count"),
    [(name, slot, count) for name, slots in SLOTS.items() for slot, count in slots.items()],
)
EACH_NDIM = pytest.mark.parametrize("ndim", [1, 2])


def composed(backbone: str, *attention: dict[str, Any], ndim: int = 2) -> Model:
    """A model of three stages with three classes, the same numbers each time."""
    torch.manual_seed(0)
    kind = "image" if ndim == 2 else "sequence"
    block = {**BACKBONES[backbone], "ndim": ndim}
    return zoo.compose(block, list(attention), input={"kind": kind, "channels": 3}, num_classes=3)


def draw(ndim: int = 2, size: int = 16) -> Tensor:
    """Two samples."""
    return torch.randn(2, 3, *[size] * ndim, generator=torch.Generator().manual_seed(1))


@EACH_SLOT
@EACH_NDIM
def test_an_attention_sits_in_every_slot(backbone: str, slot: str, count: int, ndim: int) -> None:
    """As often as the backbone has the slot; it is called, and its tensors are in the state."""
    model = composed(backbone, {"name": "se", "slot": slot}, ndim=ndim)
    assert len(model.attention_paths) == count
    maps = zoo.attention_maps(model, draw(ndim))
    assert list(maps) == list(model.attention_paths)
    state = model.state_dict()
    assert all(any(name.startswith(f"{path}.") for name in state) for path in model.attention_paths)
    assert model(draw(ndim)).shape == (2, 3)


@EACH_SLOT
@EACH_NDIM
@pytest.mark.parametrize("attention", ["se", "cbam", "simam", "mhsa"])
def test_an_identity_start_changes_no_bit(
    backbone: str, slot: str, count: int, ndim: int, attention: str
) -> None:
    """In every slot the logits are those of the network without attention, exactly."""
    plain = composed(backbone, ndim=ndim).eval()
    options = {"num_heads": 1} if attention == "mhsa" else {}
    placed = {"name": attention, "slot": slot, "start": "identity", **options}
    eased = composed(backbone, placed, ndim=ndim).eval()
    names = eased.state_dict().keys()
    renamed = {_found(name, names): value for name, value in plain.state_dict().items()}
    assert eased.load_state_dict(renamed, strict=False).unexpected_keys == []
    assert torch.equal(eased(draw(ndim)), plain(draw(ndim)))
    with torch.no_grad():
        for module in eased.modules():
            if isinstance(module, IdentityStart):
                module.gate.fill_(0.5)
    assert not torch.equal(eased(draw(ndim)), plain(draw(ndim)))


@EACH_SLOT
def test_after_a_few_steps_gates_have_moved_and_gradients_reach_everything(
    backbone: str, slot: str, count: int
) -> None:
    """At the first step only the gate has a gradient; afterwards the attention has one, too."""
    model = composed(backbone, {"name": "se", "slot": slot, "start": "identity"}).train()
    x, target = draw(), torch.tensor([0, 2])
    for _ in range(3):
        model.zero_grad()
        nn.functional.cross_entropy(model(x), target).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.sub_(0.05 * parameter.grad)
    gates = [module.gate for module in model.modules() if isinstance(module, IdentityStart)]
    assert len(gates) == count
    assert all(gate.item() != 0 for gate in gates)
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_several_attentions_in_a_slot_stand_in_the_order_of_the_spec() -> None:
    """se, then eca, then simam; the other order is another network."""
    order = ["se", "eca", "simam"]
    model = composed("attn_cnn", *({"name": name, "slot": "branch"} for name in order))
    chain = model.backbone.stages[0].blocks[0].branch
    assert isinstance(chain, Chain)
    assert [type(module).__name__ for module in chain.attentions] == [
        type(composed("attn_cnn", {"name": name, "slot": "last"}).last).__name__ for name in order
    ]
    x = torch.randn(1, 8, 4, 4)
    expected = x
    for module in chain.attentions:
        expected = module(expected)
    assert torch.equal(chain(x), expected)


def test_several_attentions_before_the_head_stand_in_order() -> None:
    """With a mask, each gets it."""
    model = composed("attn_cnn", {"name": "se", "slot": "last"}, {"name": "eca", "slot": "last"})
    assert isinstance(model.last, Chain)
    mask = torch.ones(2, 16, 16, dtype=torch.bool)
    mask[:, :, 9:] = False
    assert model.eval()(draw(), mask).shape == (2, 3)


def test_attentions_in_several_slots_do_not_disturb_each_other() -> None:
    """All five at once."""
    placed = [{"name": "se", "slot": slot} for slot in ("conv", "branch", "block", "stage", "last")]
    model = composed("attn_cnn", *placed)
    assert len(model.attention_paths) == len(set(model.attention_paths)) == 6 + 6 + 6 + 3 + 1
    assert len(zoo.attention_maps(model, draw())) == 22


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ({}, [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]),
        ({"stages": [2]}, [(2, 1), (2, 2)]),
        ({"stages": [-1], "blocks": "first"}, [(3, 1)]),
        ({"stages": [3, 1, 3, -3]}, [(1, 1), (3, 1), (3, 2), (3, 3)]),
        ({"blocks": "last"}, [(1, 1), (2, 2), (3, 3)]),
        ({"blocks": {"every": 2}}, [(2, 2), (3, 2)]),
        ({"blocks": {"every": 1}, "stages": [2]}, [(2, 1), (2, 2)]),
        ({"blocks": [-1]}, [(1, 1), (2, 2), (3, 3)]),
        ({"stages": [3], "blocks": [1, 3]}, [(3, 1), (3, 3)]),
    ],
)
def test_stages_and_blocks_pick_places(
    placement: dict[str, Any], expected: list[tuple[int, int]]
) -> None:
    """Counted from 1, negative from the end."""
    model = composed("attn_cnn", {"name": "se", "slot": "branch", **placement})
    paths = [f"backbone.stages.{s - 1}.blocks.{b - 1}.branch" for s, b in expected]
    assert list(model.attention_paths) == paths


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        ({"stages": [4]}, r"attention\[0\] .se@branch.\.stages: there is no 4 among .*\[1, 2, 3\]"),
        ({"stages": [0]}, "there is no 0 among the stages"),
        ({"stages": [-4]}, "there is no -4 among the stages"),
        (
            {"blocks": [2]},
            r"\.blocks: there is no 2 among the blocks of stage 1 of attn_cnn: \[1\]",
        ),
        ({"blocks": {"every": 0}}, r"every 0 is not at least 1"),
        ({"blocks": {}}, "every 0 is not at least 1"),
        ({"blocks": []}, "'stages' and 'blocks' pick no place at all; there are 6"),
        ({"stages": []}, "pick no place at all"),
        ({"blocks": {"every": 9}}, "pick no place at all"),
        (
            {"slot": "stage", "blocks": "first"},
            "the slot 'stage' is one place a stage; leave 'blocks'",
        ),
        ({"slot": "last", "blocks": "first"}, "the slot 'last' is one place; leave 'stages' and"),
        ({"slot": "last", "stages": [1]}, "the slot 'last' is one place"),
    ],
)
def test_a_placement_that_means_no_place_is_refused(
    placement: dict[str, Any], message: str
) -> None:
    """Nothing is placed nowhere without a word."""
    with pytest.raises(InvalidSpec, match=message):
        composed("attn_cnn", {"name": "se", "slot": "branch", **placement})


def test_a_slot_that_the_backbone_lacks_is_answered_with_those_it_has() -> None:
    """plain_cnn has no residual branch."""
    with pytest.raises(
        UnknownName, match=r"plain_cnn has no slot 'branch'. It has: block, stage, last, conv"
    ):
        composed("plain_cnn", {"name": "se", "slot": "branch"})


def test_two_attentions_cannot_take_the_place_of_one_convolution() -> None:
    """The message names both and the place."""
    both = [{"name": name, "slot": "conv"} for name in ("se", "eca")]
    with pytest.raises(
        InvalidSpec, match=r"se, eca would all take the place of one convolution .stages"
    ):
        composed("attn_cnn", *both)


def test_a_convolution_that_is_replaced_keeps_stride_and_channels() -> None:
    """In plain_cnn the first convolution of a stage changes channels."""
    model = composed("plain_cnn", {"name": "mhsa", "slot": "conv", "num_heads": 1, "stages": [2]})
    plain = composed("plain_cnn")
    stages = zip(
        model.backbone.forward_stages(draw()), plain.backbone.forward_stages(draw()), strict=True
    )
    assert all(one.shape == other.shape for one, other in stages)


@EACH_SLOT
def test_a_composed_model_can_be_copied(backbone: str, slot: str, count: int) -> None:
    """The copy computes the same and shares nothing."""
    model = composed(backbone, {"name": "se", "slot": slot, "start": "identity"}).eval()
    twin = copy.deepcopy(model)
    assert torch.equal(twin(draw()), model(draw()))
    assert twin.spec == model.spec
    ours = {p.data_ptr() for p in model.parameters()}
    assert not ours & {p.data_ptr() for p in twin.parameters()}


def test_what_stands_behind_a_module_lets_its_attributes_be_found() -> None:
    """Code of the backbone that looks at its own parts goes on working; a wrong name fails as always."""
    after = After(nn.Conv2d(3, 4, 1), nn.Identity())
    assert after.out_channels == 4
    assert copy.deepcopy(after).out_channels == 4
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = after.nothing


def test_a_module_that_says_how_it_is_copied_is_not_copied_alone() -> None:
    """Traced ones do: the attention behind it is copied, too."""
    after = After(torch.fx.symbolic_trace(nn.Conv2d(3, 4, 1)), nn.Conv2d(4, 4, 1))
    twin = copy.deepcopy(after)
    assert list(twin.state_dict()) == list(after.state_dict())


def _found(name: str, names: Any) -> str:
    """The name of a tensor after insertion: a replaced convolution stands one level deeper."""
    if name in names:
        return name
    module, _, tensor = name.rpartition(".")
    return f"{module}.original.{tensor}"

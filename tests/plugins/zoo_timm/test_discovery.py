"""Tests of the slots that a traced run finds."""

from __future__ import annotations

import pytest
import torch
from zoo_timm.backbone import TimmBackbone

import zoo
from zoo import Slot
from zoo.composition.initialization import NoRandomInit


def build(architecture: str, **options: float) -> TimmBackbone:
    """A backbone without meaningful weights: slots do not depend on them."""
    with NoRandomInit():
        return TimmBackbone(3, architecture=architecture, **options).eval()


def found(architecture: str, kind: str) -> list[Slot]:
    """The slots of one kind."""
    return [slot for slot in build(architecture).slots() if slot.kind == kind]


def test_resnet18_has_every_slot_of_its_eight_blocks() -> None:
    """Four stages of two basic blocks; the stem is no stage."""
    slots = build("resnet18").slots()
    counts = {
        kind: sum(slot.kind == kind for slot in slots)
        for kind in ("branch", "block", "stage", "conv")
    }
    assert counts == {"branch": 8, "block": 8, "stage": 4, "conv": 8}
    assert {slot.stage for slot in slots} == {1, 2, 3, 4}


def test_the_branch_of_a_bottleneck_ends_with_its_third_norm() -> None:
    """After bn3, before the addition; not on the projection."""
    paths = [slot.path for slot in found("resnet50", "branch")]
    blocks = [f"net.layer{s}.{b}" for s, depth in enumerate((3, 4, 6, 3), 1) for b in range(depth)]
    assert paths == [f"{block}.bn3" for block in blocks]


def test_the_convolution_of_a_bottleneck_is_the_wide_one() -> None:
    """conv2, with its stride and channels."""
    slots = found("resnet50", "conv")
    assert [slot.path.rpartition(".")[2] for slot in slots] == ["conv2"] * 16
    assert [slot.stride for slot in slots if slot.block == 1] == [1, 2, 2, 2]
    assert all(slot.how == "replace" and slot.channels == slot.out_channels for slot in slots)


def test_a_stage_slot_is_at_the_last_block_not_at_the_container() -> None:
    """Code that iterates over a stage or checkpoints it must find blocks there."""
    assert [slot.path for slot in found("resnet18", "stage")] == [
        f"net.layer{n}.1" for n in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize(
    "architecture",
    [
        "resnet18",
        "seresnet18",
        "resnetv2_18",
        "vgg11",
        "densenet121",
        "convnext_atto",
        "efficientnet_b0",
        "regnety_002",
        "dla46_c",
        "ese_vovnet19b_dw",
        "selecsls42",
        "xception41",
        "mambaout_femto",
        "swin_tiny_patch4_window7_224",
    ],
)
def test_every_slot_gets_a_map_of_the_channels_it_names(architecture: str) -> None:
    """The module at the path is called once a forward, with a map in its layout as output."""
    size = (224, 224) if architecture.startswith("swin") else (64, 96)  # swin takes one size
    backbone = build(architecture)
    slots = backbone.slots()
    shapes: dict[str, list[torch.Size]] = {}
    for path in {slot.path for slot in slots}:
        noted = shapes.setdefault(path, [])
        backbone.get_submodule(path).register_forward_hook(
            lambda _m, _a, y, noted=noted: noted.append(y.shape)
        )
    with torch.no_grad():
        backbone(torch.randn(1, 3, *size))
    for slot in slots:
        ((_, *shape),) = shapes[slot.path]
        channels = shape.pop(-1 if slot.layout == "channels_last" else 0)
        assert channels == (slot.out_channels or slot.channels)
        assert shape[1] * size[0] == shape[0] * size[1]


def test_a_strided_block_without_shortcut_is_a_block_like_its_kind() -> None:
    """EfficientNet-B0 has 16 blocks in 5 sizes of map; 9 of them add to a shortcut."""
    slots = build("efficientnet_b0").slots()
    assert [
        sum(slot.kind == "block" and slot.stage == stage for slot in slots) for stage in range(1, 6)
    ] == [
        1,
        2,
        2,
        6,
        5,
    ]
    assert sum(slot.kind == "branch" for slot in slots) == 9


def test_a_block_of_a_plain_network_is_a_convolution_and_its_activation() -> None:
    """VGG-11 has eight, in five sizes of map; the slot is before the pooling."""
    slots = found("vgg11", "block")
    assert [slot.stage for slot in slots] == [1, 2, 3, 3, 4, 4, 5, 5]
    assert [slot.path for slot in slots[:2]] == ["net.features.1", "net.features.4"]


def test_an_attention_stands_before_stochastic_depth() -> None:
    """A sample that is left out is zero after it: the attention must see the branch itself."""
    backbone = build("convnext_atto", drop_path_rate=0.5)
    paths = [slot.path for slot in backbone.slots() if slot.kind == "branch"]
    assert paths[0] == "net.stages.0.blocks.0.drop_path"
    assert paths[-1] == "net.stages.3.blocks.1.drop_path.before"


def test_a_map_with_channels_last_is_turned_for_the_attention() -> None:
    """An attention gets channels where it looks for them, and an identity start changes no bit."""
    slots = [slot for slot in build("mambaout_femto").slots() if slot.how == "after"]
    assert {slot.kind for slot in slots} == {"branch", "block", "stage"}
    assert {slot.layout for slot in slots} == {"channels_last"}
    text = "timm/mambaout_femto + se@branch + cbam@block + se@stage"
    model = zoo.compose(f"{text} + avg", num_classes=2).eval()
    assert model(torch.randn(1, 3, 64, 96)).shape == (1, 2)
    torch.manual_seed(0)
    plain = zoo.compose("timm/mambaout_femto + avg", num_classes=2).eval()
    torch.manual_seed(0)
    eased = zoo.compose(
        "timm/mambaout_femto + se@stage(start=identity) + avg", num_classes=2
    ).eval()
    eased.classifier.load_state_dict(plain.classifier.state_dict())
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(plain(x), eased(x))


def test_a_head_that_is_not_used_is_let_go() -> None:
    """With another head timm's own does not stay in memory."""
    assert zoo.compose("timm/vgg11 + avg").backbone._whole == ()


def test_a_network_without_residual_branches_has_no_branch_slot() -> None:
    """VGG adds nothing to a shortcut: the slot is absent, not invented."""
    assert found("vgg11", "branch") == []


def test_tracing_leaves_the_model_as_it_was() -> None:
    """No hook stays behind, no flag changes, no parameter moves to the meta device."""
    backbone = build("resnet26").train()
    backbone.slots()
    assert all(module.training and not module._forward_hooks for module in backbone.modules())
    assert all(tensor.device.type == "cpu" for tensor in backbone.state_dict().values())

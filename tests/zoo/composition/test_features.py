"""Maps of the stages, in the manner of timm."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo


@pytest.fixture(scope="module")
def model() -> zoo.Model:
    """Compose a small model of three stages."""
    return zoo.compose(
        "attn_cnn(widths=[8, 12, 16], depths=1) + se@stage + se@last", num_classes=3
    ).eval()


def test_feature_info_is_what_the_maps_are(model: zoo.Model) -> None:
    """Channels and reduction agree with the maps of an input."""
    maps = model.features_only()(torch.randn(1, 3, 32, 32))
    info = model.feature_info
    assert [one["num_chs"] for one in info] == [one.shape[1] for one in maps] == [8, 12, 16]
    assert [one["reduction"] for one in info] == [32 // one.shape[-1] for one in maps] == [1, 2, 4]


@pytest.mark.parametrize("size", [28, 30, 33])
def test_a_reduction_does_not_depend_on_the_size_of_the_input(size: int) -> None:
    """Where a map is rounded up, its size alone would say another one."""
    spec = f"image(size=[{size}, {size}], channels=3) -> attn_cnn(widths=[4, 8, 8, 8], depths=1)"
    info = zoo.compose(spec, num_classes=2).feature_info
    assert [one["reduction"] for one in info] == [1, 2, 4, 8]


def test_the_reductions_of_sounds_are_those_of_their_frames() -> None:
    """A frame each 80 samples, and its halves."""
    model = zoo.compose("audio_cnn(sample_rate=8000, widths=[4, 8, 8], hop_ms=10)", num_classes=2)
    assert [one["reduction"] for one in model.feature_info] == [80, 160, 320]


def test_a_backbone_that_takes_its_own_size_alone_is_measured_at_it(own_catalog: None) -> None:
    """The larger one, which hides no reduction, is refused by it."""

    @zoo.backbone("fixed", mask=False)
    class Fixed(nn.Module):
        """Halve images of 64 x 64."""

        ndim, num_features = 2, 4

        def __init__(self, in_channels: int) -> None:
            super().__init__()
            self.halve = nn.Conv2d(in_channels, 4, 2, stride=2)

        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[2:] == (64, 64)
            return self.halve(x)

        def forward_stages(self, x: Tensor) -> list[Tensor]:
            return [self(x)]

        def slots(self) -> list[zoo.Slot]:
            return []

    model = zoo.compose("image(size=[64, 64], channels=3) -> fixed + avg", num_classes=2)
    assert [(one["num_chs"], one["reduction"]) for one in model.feature_info] == [(4, 2)]


def test_features_of_chosen_stages(model: zoo.Model) -> None:
    """`out_indices` picks stages, also from the end, and says so in `feature_info`."""
    features = model.features_only([0, -1])
    assert [one.shape[1] for one in features(torch.randn(1, 3, 16, 16))] == [8, 16]
    assert [one["num_chs"] for one in features.feature_info] == [8, 16]


@pytest.mark.parametrize(
    ("asked", "stages"),
    [(1, [2]), (2, [1, 2]), (3, [0, 1, 2]), ([-1, 0], [2, 0]), (None, [0, 1, 2])],
)
def test_a_number_means_the_last_stages(
    model: zoo.Model, asked: list[int] | int | None, stages: list[int]
) -> None:
    """As timm has it; columns of what is known of them have names."""
    features = model.features_only(asked)
    assert features.out_indices == stages
    assert features.feature_info.channels() == [[8, 12, 16][stage] for stage in stages]
    assert features.feature_info.reduction() == [2**stage for stage in stages]
    x = torch.randn(1, 3, 16, 16)
    assert len(model.forward_intermediates(x, asked, intermediates_only=True)) == len(stages)


@pytest.mark.parametrize("asked", ["01", 1.0, [0.5], ["a"], 0, -1, 4, True])
def test_what_is_no_choice_of_stages_is_refused(model: zoo.Model, asked: Any) -> None:
    """With what is."""
    with pytest.raises(zoo.InvalidValue, match=r"give their numbers, such as \[0, 2\]"):
        model.features_only(asked)


def test_the_last_map_has_the_attention_behind_it(model: zoo.Model) -> None:
    """A detector gets all that its spec asks for; and no weights that it does not use."""
    x = torch.randn(1, 3, 16, 16)
    features = model.features_only()
    assert torch.equal(features(x)[-1], model.forward_features(x))
    assert not torch.equal(features(x)[-1], model.backbone(x))
    assert any(name.startswith("last.") for name in features.state_dict())
    assert not any(name.startswith("last.") for name in model.features_only([0]).state_dict())


@pytest.mark.parametrize("x", [torch.zeros(1, 4, 16, 16), torch.zeros(1, 3, 16, 16).byte()])
def test_features_of_what_the_model_does_not_take_are_refused(model: zoo.Model, x: Tensor) -> None:
    """As by the model itself."""
    with pytest.raises(zoo.InvalidValue, match="The model takes"):
        model.features_only()(x)


@pytest.mark.parametrize("mode", [True, False])
def test_features_have_the_mode_of_the_model(mode: bool) -> None:
    """So that whoever gives it back later gives the right one."""
    model = zoo.compose("attn_cnn(widths=[8])", num_classes=3).train(mode)
    assert model.features_only().training == mode


def test_measuring_leaves_the_model_as_it_was() -> None:
    """Mode and batch statistics are those of before."""
    model = zoo.compose("attn_cnn(widths=[8])", num_classes=3).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert len(model.feature_info) == 1
    assert model.training
    assert model.backbone.norm.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_intermediates_come_with_the_last_map(model: zoo.Model) -> None:
    """The last map is that of `forward_features`, with the attention before the head applied."""
    x = torch.randn(2, 3, 16, 16)
    last, maps = model.forward_intermediates(x)
    torch.testing.assert_close(last, model.forward_features(x))
    torch.testing.assert_close(maps[-1], model.backbone(x))
    assert len(model.forward_intermediates(x, [1], intermediates_only=True)) == 1


def test_a_stage_that_is_not_there_is_refused(model: zoo.Model) -> None:
    """The error says how many stages there are."""
    with pytest.raises(zoo.InvalidValue, match="no stage 3; the backbone has 3, counted from 0"):
        model.features_only([3])


@pytest.mark.parametrize("backbone", ["attn_cnn(widths=[8, 12], depths=2)", "timm/resnet18"])
def test_checkpointing_changes_no_gradient(backbone: str) -> None:
    """With gradient checkpointing the gradients are the same."""
    torch.manual_seed(0)
    model = zoo.compose(f"{backbone} + se@branch + se@stage", num_classes=2)
    x = torch.randn(2, 3, 32, 32)

    def gradients() -> dict[str, torch.Tensor]:
        model.zero_grad()
        model(x).square().sum().backward()
        return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}

    plain = gradients()
    model.set_grad_checkpointing()
    torch.testing.assert_close(gradients(), plain)


def test_a_backbone_that_cannot_checkpoint_says_so() -> None:
    """The error names the backbone."""
    with pytest.raises(zoo.InvalidValue, match="plain_cnn has no gradient checkpointing"):
        zoo.compose("plain_cnn(widths=[8])").set_grad_checkpointing()


def test_frozen_statistics_stay_while_a_detector_trains() -> None:
    """The maps are the backbone's own: its norms keep what they were frozen with."""
    own = zoo.compose("attn_cnn(widths=[4, 8], depths=1)", num_classes=2)
    zoo.freeze(own)
    features = own.features_only()
    detector = nn.ModuleDict({"features": features, "norm": nn.BatchNorm2d(8)}).train()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    features(torch.randn(4, 3, 8, 8))
    assert detector["norm"].training
    for name, value in own.state_dict().items():
        assert torch.equal(value, before[name]), name

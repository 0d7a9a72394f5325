"""Whitening: what the first filters give is of one size and not correlated."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.errors import InvalidValue
from zoo.train.whitening import whiten

INPUT = {"kind": "image", "channels": 3, "size": [12, 10], "mean": [0.4] * 3, "std": [0.2] * 3}


def new_model(stem_width: int) -> zoo.Model:
    """A small network whose stem has so many filters of 3x3x3 values."""
    torch.manual_seed(0)
    backbone = {"name": "resnet9", "stem_width": stem_width, "widths": [4], "depths": 0}
    return zoo.compose(backbone, input=INPUT, num_classes=2)


@pytest.fixture
def images() -> Tensor:
    """Images whose neighbouring pixels are alike, as those of photographs."""
    coarse = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    noise = torch.rand(64, 3, 12, 10, generator=torch.Generator().manual_seed(1))
    smooth = nn.functional.interpolate(coarse, size=(12, 10), mode="bilinear")
    return (255 * (0.8 * smooth + 0.2 * noise)).byte()


def responses(model: zoo.Model, images: Tensor) -> Tensor:
    """What the stem's filters give at all places inside the images: (filters, values)."""
    x = (images.float() / 255 - 0.4) / 0.2
    return nn.functional.conv2d(x, model.backbone.stem.weight).transpose(0, 1).flatten(1)


def test_responses_are_white(images: Tensor) -> None:
    """Their second moments are the identity, but for the noise that is not enlarged; they were far from it."""
    model = new_model(stem_width=54)
    before = responses(model, images)[:27]
    whiten(model, images)
    after = responses(model, images)[:27].double()
    moments = after @ after.T / after.shape[1]
    torch.testing.assert_close(moments, torch.eye(27).double(), atol=0.02, rtol=0)
    assert not torch.allclose(before @ before.T / before.shape[1], torch.eye(27), atol=0.1)


def test_the_second_half_are_the_negatives(images: Tensor) -> None:
    """With fewer filters than components, the strongest are taken, and each has its negative."""
    wide, narrow = new_model(stem_width=54), new_model(stem_width=7)
    odd = narrow.backbone.stem.weight[6].clone()
    whiten(wide, images)
    whiten(narrow, images)
    filters = narrow.backbone.stem.weight
    assert torch.equal(filters[:3], wide.backbone.stem.weight[:3])
    assert torch.equal(filters[3:6], -filters[:3])
    assert torch.equal(filters[6], odd)
    strength = (1 / filters[:3].flatten(1).norm(dim=1)).tolist()
    assert strength == sorted(strength, reverse=True)


def test_filters_beyond_twice_the_patch_stay(images: Tensor) -> None:
    """A patch of 27 values has 27 components."""
    model = new_model(stem_width=60)
    before = model.backbone.stem.weight.clone()
    whiten(model, images)
    after = model.backbone.stem.weight
    assert torch.equal(after[54:], before[54:])
    assert not torch.isclose(after[:54], before[:54]).all(1).any()


def test_nothing_else_changes(images: Tensor) -> None:
    """No other tensor, no statistics of a norm, no mode; and it asks for gradients as before."""
    model = new_model(stem_width=8).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    whiten(model, images)
    changed = [key for key, value in model.state_dict().items() if not value.equal(before[key])]
    assert changed == ["backbone.stem.weight"]
    assert all(module.training for module in model.modules())
    assert model.backbone.stem.weight.requires_grad
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_images_that_are_all_alike_give_finite_filters() -> None:
    """Components without variance are not divided by zero."""
    model = new_model(stem_width=54)
    whiten(model, torch.full((4, 3, 12, 10), 100, dtype=torch.uint8))
    assert model.backbone.stem.weight.isfinite().all()


def test_a_model_without_such_a_convolution_is_refused(images: Tensor) -> None:
    """In place of its stem stands what convolves nothing."""
    model = new_model(stem_width=3)
    model.backbone.stem = nn.Identity()
    with pytest.raises(InvalidValue, match=r"whiten sets the filters .* the model has none"):
        whiten(model, images)


def test_other_inputs_are_refused(images: Tensor) -> None:
    """A model of sequences has no patches of pixels."""
    model = zoo.compose(
        {"name": "plain_cnn", "ndim": 1}, input={"kind": "sequence", "channels": 3}, num_classes=2
    )
    with pytest.raises(InvalidValue, match="for images; the model takes inputs of kind 'sequence'"):
        whiten(model, images)

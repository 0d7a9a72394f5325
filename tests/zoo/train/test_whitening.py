"""Whitening: what the first filters give is of one size and not correlated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import zoo
from zoo.errors import InvalidValue
from zoo.train.normalization import make_normalization
from zoo.train.whitening import whiten

INPUT = {"kind": "image", "channels": 3, "size": [12, 10], "mean": [0.4] * 3, "std": [0.2] * 3}


def new_model(stem_width: int, *, size: Sequence[int] = (12, 10)) -> zoo.Model:
    """A small network whose stem has so many filters of 3x3x3 values."""
    torch.manual_seed(0)
    backbone = {"name": "resnet9", "stem_width": stem_width, "widths": [4], "depths": 0}
    return zoo.compose(backbone, input={**INPUT, "size": list(size)}, num_classes=2)


@pytest.fixture
def images() -> Tensor:
    """Images whose neighbouring pixels are alike, as those of photographs."""
    coarse = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    noise = torch.rand(64, 3, 12, 10, generator=torch.Generator().manual_seed(1))
    smooth = nn.functional.interpolate(coarse, size=(12, 10), mode="bilinear")
    return (255 * (0.8 * smooth + 0.2 * noise)).byte()


class Sizes(TorchDispatchMode):
    """Notes how large the largest result of an operation with floats is."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.is_floating_point():
            self.largest = max(self.largest, result.numel())
        return result


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


def test_images_of_cifar_give_the_same_bits_as_ever() -> None:
    """Those of components of all patches, summed by batches of 256: published recipes are trained again."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (300, 3, 32, 32), dtype=torch.uint8, generator=generator)
    model = new_model(stem_width=54, size=(32, 32))
    moments = torch.zeros(27, 27).double()
    normalize = make_normalization(model.spec.input)
    for batch in images.split(256):
        patches = nn.functional.unfold(normalize(batch), 3).double()
        moments += torch.einsum("nip, njp -> ij", patches, patches) / patches.shape[2]
    variances, components = torch.linalg.eigh(moments / 300)
    whiten(model, images)
    filters = (components / (variances + 5e-4).sqrt()).T.flip(0).float().view(27, 3, 3, 3)
    assert torch.equal(model.backbone.stem.weight[:27], filters)


def test_large_images_need_no_more_memory() -> None:
    """A window of each, and smaller batches: no tensor on the way is larger. Enlarged pixels do no harm."""
    coarse = torch.rand(120, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    images = (255 * nn.functional.interpolate(coarse, scale_factor=7, mode="bilinear")).byte()
    images += torch.randint_like(images, 0, 40) * (images < 200)
    model = new_model(stem_width=54, size=(224, 224))
    with Sizes() as sizes:
        whiten(model, images)
    assert sizes.largest <= 2**24
    with torch.no_grad():
        x = responses(model, images[::10])[:27]
    torch.testing.assert_close(x @ x.T / x.shape[1], torch.eye(27), atol=0.1, rtol=0)


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

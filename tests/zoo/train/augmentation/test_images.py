"""Augmentation of images."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from zoo.errors import InvalidValue
from zoo.train.augmentation import AUGMENTATIONS, make_augmentation
from zoo.train.recipe import Recipe


def _images(count: int = 64, channels: int = 3, height: int = 9, width: int = 7) -> Tensor:
    return torch.randint(
        1,
        256,
        (count, channels, height, width),
        dtype=torch.uint8,
        generator=Generator().manual_seed(0),
    )


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS["image"]))
def test_the_generator_decides(name: str) -> None:
    """The same state of the generator gives the same batch, another gives another; the input stays."""
    images, augment = _images(), make_augmentation({"name": name})
    before = images.clone()
    first, again, other = (augment(images, Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first.shape == images.shape
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS["image"]))
def test_samples_change_each_in_its_own_way(name: str) -> None:
    """Copies of one image become different images."""
    images = _images(1).expand(64, -1, -1, -1)
    augmented = make_augmentation({"name": name})(images, Generator().manual_seed(1))
    assert len(torch.unique(augmented, dim=0)) > 1


@pytest.mark.parametrize("border", ["reflect", "black"])
def test_crops_are_windows_of_the_padded_image(border: str) -> None:
    """Each moved image is one of the windows of the padded image, and all windows occur."""
    image = _images(1)
    mode = "constant" if border == "black" else "reflect"
    padded = torch.nn.functional.pad(image.float(), (2, 2, 2, 2), mode=mode).to(torch.uint8)
    windows = [padded[0, :, y : y + 9, x : x + 7] for y in range(5) for x in range(5)]
    crop = make_augmentation({"name": "crop", "padding": 2, "border": border})
    moved = crop(image.expand(500, -1, -1, -1), Generator().manual_seed(0))
    found = {next(n for n, w in enumerate(windows) if torch.equal(one, w)) for one in moved}
    assert found == set(range(25))


@pytest.mark.parametrize("border", ["reflect", "black"])
def test_a_crop_always_leaves_something_of_the_image(border: str) -> None:
    """With the greatest padding there may be, too; a greater one is refused; the message says their size."""
    images = _images(1, height=4, width=5).expand(200, -1, -1, -1)
    crop = make_augmentation({"name": "crop", "padding": 3, "border": border})
    assert all(len(one.unique()) > 1 for one in crop(images, Generator().manual_seed(0)))
    crop = make_augmentation({"name": "crop", "padding": 4, "border": border})
    with pytest.raises(InvalidValue, match="crop: padding 4 would move images of 5x4 out of sight"):
        crop(images, Generator())


def test_flips_mirror_the_given_share() -> None:
    """Every image is itself or its mirror image; none or all where the probability says so."""
    images = _images(200)
    flipped = make_augmentation({"name": "flip"})(images, Generator().manual_seed(0))
    mirrored = [torch.equal(b, a.flip(2)) for a, b in zip(images, flipped, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(images, flipped, strict=True)]
    assert all(a or b for a, b in zip(mirrored, same, strict=True))
    assert 60 < sum(mirrored) < 140
    always = make_augmentation({"name": "flip", "probability": 1.0})(images, Generator())
    assert torch.equal(always, images.flip(3))


def test_cutout_greys_one_square() -> None:
    """The greyed pixels are one rectangle of at most the square's sides, the same in all channels."""
    images = torch.zeros(100, 2, 9, 7, dtype=torch.uint8)
    cut = make_augmentation({"name": "cutout", "size": 4, "value": 200})(
        images, Generator().manual_seed(0)
    )
    whole = 0
    for one in cut:
        assert torch.equal(one[0], one[1])
        rows, columns = (one[0] == 200).any(1), (one[0] == 200).any(0)
        assert int((one[0] == 200).sum()) == int(rows.sum()) * int(columns.sum())
        assert 2 <= int(rows.sum()) <= 4
        assert 2 <= int(columns.sum()) <= 4
        whole += int((one[0] == 200).sum()) == 16
    assert whole > 10


def test_affine_without_change_is_the_image() -> None:
    """With all limits at 0 the pixels stay."""
    images = _images(4)
    augment = make_augmentation({"name": "affine", "degrees": 0, "scale": 0, "shift": 0})
    assert torch.equal(augment(images, Generator()), images)


def test_affine_turns_by_at_most_its_degrees() -> None:
    """A bright dot goes round the centre on a circle, also where the sides differ."""
    images = torch.zeros(200, 1, 33, 65, dtype=torch.uint8)
    images[:, :, 15:18, 42:45] = 255  # its centre is 11 pixels to the right of the image's
    turned = make_augmentation({"name": "affine", "degrees": 30, "scale": 0, "shift": 0})(
        images, Generator().manual_seed(0)
    ).float()
    weights = turned / turned.sum((2, 3), keepdim=True)
    y = (weights * torch.arange(33.0)[:, None]).sum((1, 2, 3)) - 16
    x = (weights * torch.arange(65.0)).sum((1, 2, 3)) - 32
    angles = torch.rad2deg(torch.atan2(y, x))
    assert torch.allclose(torch.hypot(x, y), torch.tensor(11.0), atol=0.3)
    assert angles.abs().max() <= 31
    assert angles.min() < -20
    assert angles.max() > 20


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"name": "flip", "probability": 1.5}, "flip: probability is 1.5"),
        ({"name": "cutout", "size": 0}, "cutout: size 0"),
        ({"name": "affine", "scale": 1.0}, "scale 1.0"),
        ({"name": "crop", "border": "blue"}, "crop: padding 4 with border 'blue'"),
        ({}, "no augmentation is called None"),
        ({"name": ["flip"]}, r"no augmentation is called \['flip'\]"),
        ({"name": "crop", "padding": 2.5}, "crop .* padding 2.5; give a whole number"),
        ({"name": "crop", "padding": math.nan}, "padding nan; give a whole number"),
        ({"name": "crop", "padding": True}, "padding True; give a whole number"),
        ({"name": "cutout", "size": 8.0}, "cutout .* size 8.0; give a whole number"),
        ({"name": "flip", "probability": True}, "probability True; give a finite number"),
        ({"name": "affine", "degrees": math.nan}, "degrees nan; give a finite number"),
        ({"name": "affine", "shift": "2"}, "shift '2'; give a finite number"),
    ],
)
def test_wrong_options_are_refused(step: dict[str, Any], message: str) -> None:
    """The message names the augmentation and the value."""
    with pytest.raises(InvalidValue, match=message):
        make_augmentation(step)


def test_the_message_says_where_in_the_recipe() -> None:
    """When the recipe is read, not when the first batch comes."""
    steps = ["flip", {"name": "crop", "padding": 2.5}]
    with pytest.raises(InvalidValue, match=r"^recipe.augment\[1\]: crop .* padding 2.5; give"):
        Recipe.from_data({"augment": steps})

"""ResNetCIFAR against the paper's figures, and its shortcut against the paper's words."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from zoo_cnn.residual import ZeroPaddedShortcut
from zoo_cnn.resnet_cifar import ResNetCIFAR

import zoo
from zoo import InvalidValue


def count(model: torch.nn.Module) -> int:
    """Count the numbers that are trained."""
    return sum(parameter.numel() for parameter in model.parameters())


def test_resnet20_has_the_papers_parameters() -> None:
    """ResNet-20 with 10 classes has 0.27 M parameters: 3x3 convolutions, norms of two numbers a channel, a classifier."""
    stem = 3 * 16 * 9 + 2 * 16
    first = 6 * (16 * 16 * 9 + 2 * 16)
    second = (16 * 32 + 5 * 32 * 32) * 9 + 6 * 2 * 32
    third = (32 * 64 + 5 * 64 * 64) * 9 + 6 * 2 * 64
    classifier = 64 * 10 + 10
    expected = stem + first + second + third + classifier
    assert expected == 269_722
    assert count(zoo.compose("resnet_cifar", num_classes=10)) == expected


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_every_depth_has_the_size_of_table_6(depth: int, millions: float) -> None:
    """The networks of table 6 have the numbers of parameters that it gives, rounded as there."""
    backbone = ResNetCIFAR(3, depth=depth)
    convolutions = [m for m in backbone.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) + 1 == depth
    assert (count(backbone) + 650) / 1e6 == pytest.approx(millions, rel=0.02)


def test_resnet20_costs_41_million_multiply_adds() -> None:
    """A 32x32 image costs 41 M multiply-adds, two operations each."""
    model = zoo.compose("resnet_cifar", num_classes=10).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(1, 3, 32, 32))
    assert counter.get_total_flops() / 2 == pytest.approx(41e6, rel=0.02)


def test_shortcut_subsamples_and_pads_channels_with_zeros() -> None:
    """Option A: even positions stay, channels beyond the old ones are 0."""
    x = torch.randn(2, 3, 5, 4)
    y = ZeroPaddedShortcut(3, 5, ndim=2, stride=2)(x)
    expected = torch.zeros(2, 5, 3, 2)
    for row in range(3):
        for column in range(2):
            expected[:, :3, row, column] = x[:, :, 2 * row, 2 * column]
    assert torch.equal(y, expected)


def test_shortcut_for_sequences() -> None:
    """The same over one dimension."""
    x = torch.randn(2, 3, 5)
    y = ZeroPaddedShortcut(3, 4, ndim=1, stride=2)(x)
    assert torch.equal(y, torch.cat([x[:, :, [0, 2, 4]], torch.zeros(2, 1, 3)], 1))


@pytest.mark.parametrize("ndim", [1, 2])
def test_stages_halve_the_map(ndim: int) -> None:
    """Stage maps have the widths asked for, at full size and then halves, rounded up."""
    backbone = ResNetCIFAR(2, ndim=ndim, widths=(4, 6, 8), depth=8)
    maps = backbone.forward_stages(torch.randn(2, 2, *(9,) * ndim))
    assert [tuple(y.shape) for y in maps] == [
        (2, width, *(size,) * ndim) for width, size in ((4, 9), (6, 5), (8, 3))
    ]


def test_has_every_slot() -> None:
    """Each block offers conv, branch and block, each stage its end, and each can be filled."""
    attention = [{"name": "se", "slot": slot} for slot in ("branch", "block", "stage", "conv")]
    for ndim, size in ((1, {"kind": "sequence", "channels": 3}), (2, None)):
        model = zoo.compose(
            {"name": "resnet_cifar", "depth": 20, "ndim": ndim},
            attention,
            input=size,
            num_classes=2,
        )
        assert len(model.attention_paths) == 9 + 9 + 3 + 9
        assert model(torch.randn(2, 3, *(8,) * ndim)).shape == (2, 2)


@pytest.mark.parametrize("ndim", [1, 2])
def test_padding_changes_nothing(ndim: int) -> None:
    """What lies beyond a sample's end, and how far, does not change its features."""
    torch.manual_seed(0)
    backbone = ResNetCIFAR(3, ndim=ndim, depth=14, widths=(8, 8, 12)).eval()
    x = torch.randn(2, 3, *(11,) * ndim)
    padded = torch.nn.functional.pad(x, (0, 6) * ndim, value=7.0)
    mask = torch.zeros(2, *(17,) * ndim, dtype=torch.bool)
    mask[(slice(None), *(slice(11),) * ndim)] = True
    real = backbone.downsample_mask(mask)
    expected = backbone(x).flatten(2)
    found = backbone(padded, mask)
    torch.testing.assert_close(found[real.unsqueeze(1).expand_as(found)], expected.flatten())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 21}, "depth is 21; with 3 stages it is 6 n \\+ 2, e.g. 20, 32, 44, 56, 110"),
        ({"depth": 2}, "depth is 2;"),
        ({"depth": 20.0}, "depth is 20.0"),
        ({"depth": 20, "widths": (16, 32)}, "with 2 stages it is 4 n \\+ 2"),
        ({"widths": 16}, "widths is 16"),
        ({"widths": ()}, "widths is \\(\\)"),
        ({"widths": (32, 16, 64)}, "must not fall from stage to stage"),
        ({"ndim": 3}, "ndim is 3"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """An option out of its range is answered with what is right."""
    with pytest.raises(InvalidValue, match=message):
        ResNetCIFAR(3, **options)

"""ResNet9 against the figures of its source, and its blocks against their formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo_cnn.resnet9 import ResNet9

import zoo
from zoo import InvalidValue

EACH_NDIM = pytest.mark.parametrize("ndim", [1, 2])


def test_the_defaults_have_the_parameters_of_the_source() -> None:
    """Eight convolutions with their norms, and a classifier of ten classes: 6,573,130."""
    convolutions = 9 * (3 * 64 + 64 * 128 + 2 * 128**2 + 128 * 256 + 256 * 512 + 2 * 512**2)
    norms = 2 * (64 + 3 * 128 + 256 + 3 * 512)
    expected = convolutions + norms + 512 * 10 + 10
    assert expected == 6_573_130
    model = zoo.compose("resnet9", num_classes=10)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert sum(isinstance(module, nn.Conv2d) for module in model.modules()) == 8


def test_a_stage_is_its_formula() -> None:
    """Convolution, pooling, norm, ReLU; then x + relu(norm(conv(relu(norm(conv(x))))))."""
    torch.manual_seed(0)
    backbone = ResNet9(2, stem_width=3, widths=[4], depths=[1]).eval()
    for norm in backbone.modules():
        if isinstance(norm, nn.BatchNorm2d):  # off its start, so that a forgotten one shows
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
    x = torch.randn(2, 2, 7, 6)
    stage = backbone.stages[0]
    block = stage.blocks[0]
    stem = F.relu(backbone.norm(F.conv2d(x, backbone.stem.weight, padding=1)))
    pooled = F.max_pool2d(F.conv2d(stem, stage.conv.weight, padding=1), 2, ceil_mode=True)
    before = F.relu(stage.norm(pooled))
    branch = F.relu(block.norm1(F.conv2d(before, block.conv1.weight, padding=1)))
    branch = F.relu(block.norm2(F.conv2d(branch, block.conv2.weight, padding=1)))
    torch.testing.assert_close(backbone(x), before + branch)


@EACH_NDIM
@pytest.mark.parametrize("side", [1, 2, 9])
def test_stages_halve_the_map(ndim: int, side: int) -> None:
    """Stage maps have the widths asked for; each side is halved, and rounded up."""
    backbone = ResNet9(2, ndim=ndim, stem_width=3, widths=(4, 6), depths=(0, 2))
    maps = backbone.forward_stages(torch.randn(2, 2, *(side,) * ndim))
    half = -(-side // 2)
    assert [tuple(y.shape) for y in maps] == [
        (2, 4, *(half,) * ndim),
        (2, 6, *(-(-half // 2),) * ndim),
    ]


@EACH_NDIM
def test_has_every_slot(ndim: int) -> None:
    """Each residual block offers conv, branch and block, each stage its end, and each can be filled."""
    attention = [{"name": "se", "slot": slot} for slot in ("branch", "block", "stage", "conv")]
    model = zoo.compose(
        {"name": "resnet9", "ndim": ndim, "widths": [8, 8, 16], "depths": [1, 0, 2]},
        attention,
        input={"kind": "sequence", "channels": 3} if ndim == 1 else None,
        num_classes=2,
    )
    assert len(model.attention_paths) == 3 + 3 + 3 + 3
    assert model(torch.randn(2, 3, *(8,) * ndim)).shape == (2, 2)


@EACH_NDIM
def test_padding_changes_nothing(ndim: int) -> None:
    """What lies beyond a sample's end, and how far, does not change its features."""
    torch.manual_seed(0)
    backbone = ResNet9(3, ndim=ndim, stem_width=4, widths=(8, 8), depths=1).eval()
    x = torch.randn(2, 3, *(11,) * ndim)
    padded = F.pad(x, (0, 6) * ndim, value=7.0)
    mask = torch.zeros(2, *(17,) * ndim, dtype=torch.bool)
    mask[(slice(None), *(slice(11),) * ndim)] = True
    real = backbone.downsample_mask(mask)
    expected = backbone(x).flatten(2)
    found = backbone(padded, mask)
    torch.testing.assert_close(found[real.unsqueeze(1).expand_as(found)], expected.flatten())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem_width": 0}, "stem_width is 0; give at least 1"),
        ({"widths": 16}, "widths is 16"),
        ({"widths": (8, 0, 8)}, r"widths is \(8, 0, 8\); give whole numbers of at least 1"),
        ({"depths": (1, -1, 1)}, r"depths is \(1, -1, 1\); give whole numbers of at least 0"),
        ({"depths": (1, 1)}, "3 widths .* and 2 depths"),
        ({"ndim": 3}, "ndim is 3"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """An option out of its range is answered with what is right."""
    with pytest.raises(InvalidValue, match=message):
        ResNet9(3, **options)

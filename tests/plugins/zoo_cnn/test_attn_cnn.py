"""attn_cnn and plain_cnn: sizes, stages and slots."""

from __future__ import annotations

import pytest
import torch
import zoo_cnn
from torch import nn

from zoo import InvalidValue

torch.set_num_threads(1)
CLASSES = {component.name: component.load() for component in zoo_cnn.zoo_backbones()}
EACH = pytest.mark.parametrize("name", ["attn_cnn", "plain_cnn"])
EACH_NDIM = pytest.mark.parametrize("ndim", [1, 2])


@EACH
@EACH_NDIM
@pytest.mark.parametrize("side", [1, 2, 7, 16])
def test_any_size_gives_one_map_a_stage_halved_and_rounded_up(
    name: str, ndim: int, side: int
) -> None:
    """attn_cnn keeps the size in its first stage, plain_cnn halves it in each."""
    backbone = CLASSES[name](3, ndim=ndim, widths=[4, 6, 8], depths=[1, 2, 1])
    maps = backbone.forward_stages(torch.randn(2, 3, *[side] * ndim))
    sides, current = [], side
    for number in range(3):
        current = -(-current // 2) if name == "plain_cnn" or number else current
        sides.append(current)
    assert [m.shape for m in maps] == [
        (2, w, *[s] * ndim) for w, s in zip((4, 6, 8), sides, strict=True)
    ]
    assert backbone.num_features == 8


@EACH
@EACH_NDIM
def test_the_mask_is_halved_like_the_map(name: str, ndim: int) -> None:
    """Real positions of the last map are those that a smaller input would have."""
    backbone = CLASSES[name](3, ndim=ndim, widths=[4, 6, 8]).eval()
    for length in range(1, 14):
        mask = torch.zeros(1, *[14] * ndim, dtype=torch.bool)
        mask[(0, *[slice(length)] * ndim)] = True
        real = int(backbone.downsample_mask(mask).sum())
        alone = backbone(torch.randn(1, 3, *[length] * ndim))
        assert real == alone[0, 0].numel()


@EACH
@EACH_NDIM
def test_every_slot_is_a_module_of_its_backbone(name: str, ndim: int) -> None:
    """Placeholders to fill, and convolutions to replace, of the channels that are said."""
    backbone = CLASSES[name](3, ndim=ndim, widths=[4, 6], depths=[1, 2])
    seen = {}

    def remember(slot: object):  # type: ignore[no-untyped-def]  # a hook
        return lambda _module, args, result: seen.__setitem__(
            slot, (args[0].shape[1], result.shape[1])
        )

    slots = backbone.slots()
    for slot in slots:
        module = backbone.get_submodule(slot.path)
        assert isinstance(module, (nn.Conv1d, nn.Conv2d)) == (slot.how == "replace")
        module.register_forward_hook(remember(slot))
    backbone(torch.randn(1, 3, *[8] * ndim))
    assert seen == {slot: (slot.channels, slot.out_channels or slot.channels) for slot in slots}
    assert len({slot.path for slot in slots}) == len(slots)


@EACH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": 8}, "widths is 8; give whole numbers of at least 1"),
        ({"widths": [8, 0]}, r"widths is \[8, 0\]; give whole numbers"),
        ({"widths": [8.0]}, r"widths is \[8\.0\]; give whole numbers"),
        ({"widths": [True]}, r"widths is \[True\]; give whole numbers"),
        ({"depths": 0}, "depths is .0.*; give whole numbers"),
        ({"depths": [1]}, "widths .* and 1 depths .1.; give one of each a stage"),
        ({"kernel_size": 4}, "kernel_size is 4; give an odd number"),
        ({"kernel_size": "3"}, "kernel_size is '3'; give an odd number"),
        ({"ndim": 3}, "ndim is 3; give 1 for"),
    ],
)
def test_an_option_out_of_its_range_is_refused(
    name: str, options: dict[str, object], message: str
) -> None:
    """By name, with the rule."""
    with pytest.raises(InvalidValue, match=message):
        CLASSES[name](3, **options)


@EACH
@pytest.mark.parametrize("channels", [0, -1, 1.5, True])
def test_channels_out_of_their_range_are_refused(name: str, channels: object) -> None:
    """The input has at least one."""
    with pytest.raises(InvalidValue, match=r"in_channels is .*; give at least 1"):
        CLASSES[name](channels)

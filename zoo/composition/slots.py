"""Slots: the places in a backbone where an attention can stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.spec import SlotKind


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One place in a backbone where an attention can stand. A backbone lists its own in `slots()`.

    Args:
        kind: `branch` (inside a residual branch, after its last norm, before the addition), `block`
            (after a block), `stage` (after a stage) or `conv` (in place of a block's spatial
            convolution). The slot `last` exists in every model and is not listed by backbones.
        path: Dotted name of a sub-module, as in `nn.Module.get_submodule`.
        how: What is done at `path`. `fill`: the module there is a placeholder that passes its input on,
            is called as `module(x, mask)`, and is replaced. `after`: the module there stays and the
            attention takes its output, a tensor. `replace`: the module there is a convolution, and the
            attention takes its place.
        channels: Channels of the map that the attention gets.
        stage: Number of the stage, from 1.
        block: Number of the block within its stage, from 1; None for `stage` slots.
        out_channels: For `conv` slots, channels that must come out; otherwise as `channels`.
        stride: For `conv` slots, the stride of the convolution that is replaced.
        layout: How the map lies where the attention stands `after` a module: `channels_first`
            (N, C, *spatial), or `channels_last` (N, *spatial, C), which the core turns for the attention.
    """

    kind: SlotKind
    path: str
    how: Literal["fill", "after", "replace"]
    channels: int
    stage: int
    block: int | None = None
    out_channels: int | None = None
    stride: int = 1
    layout: Literal["channels_first", "channels_last"] = "channels_first"

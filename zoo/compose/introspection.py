"""What an attention attends to, in one form for every attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class AttentionMap(NamedTuple):
    """The weights that one attention gives to its input.

    An attention has a method `attention_map(x, mask=None) -> AttentionMap`, computed from the input of
    its `forward`. A field is None where the attention has no such weights.

    Attributes:
        channel: (N, C), the weight of each channel.
        spatial: (N, *spatial), the weight of each position. Gates give the gate (mean over channels
            where it differs by channel); self-attention gives the attention that each position
            receives, summing to 1 over the positions.
    """

    channel: Tensor | None = None
    spatial: Tensor | None = None

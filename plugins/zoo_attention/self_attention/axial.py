"""Axial attention: multi-head self-attention along the columns, then along the rows.

Paper    Ho et al., "Axial Attention in Multidimensional Transformers", 2019, arXiv 1912.12180
Formula  for each spatial axis in turn: x <- x + W_O [head_1; ...; head_h], the heads those of multi-head
         self-attention among the positions that differ from each other along this axis only
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; one axis for ndim 1
Mask     masked positions are not read
Cost     4 C^2 ndim parameters, 4 C^2 P ndim + 2 C P (W + (ndim - 1) H) multiply-adds; `use_bias=True`: 4 C ndim
         more parameters
Follows  the paper
Differs  the layer norms and position-wise layers of the paper's blocks are not here: backbones bring their own.
         Its learnt positions have the map's size; `positions="sine"` is for any size. No biases (`use_bias`)
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import (
    check_bool,
    check_call,
    check_choice,
    check_construction,
    check_integer,
)
from zoo_attention.self_attention import reading
from zoo_attention.self_attention.heads import check_heads
from zoo_attention.self_attention.positions import sine_positions


class AxialAttention(nn.Module):
    """Let each position read from its column, then from its row.

    Args:
        channels: Number of channels C, a multiple of `num_heads`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_heads: Number of heads, at least 1.
        positions: `"sine"` adds sine positions to what is read.
        use_residual: Whether the input is added to the output, for each axis.
        use_bias: Whether the projections have biases.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is no multiple of
            `num_heads`.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        num_heads: int = 8,
        positions: Literal["none", "sine"] = "none",
        use_residual: bool = True,
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "num_heads", num_heads)
        check_choice(self, "positions", positions, ("none", "sine"))
        check_bool(self, "use_residual", use_residual)
        check_bool(self, "use_bias", use_bias)
        check_heads(self, channels, num_heads)
        self.channels, self.ndim = channels, ndim
        self.growth = 2 if ndim == 1 else 1.5  # each position reads lines, of a map's sides
        self.num_heads = num_heads
        self.positions = positions
        self.use_residual = use_residual
        self.project = nn.ModuleList(
            nn.Linear(channels, 3 * channels, bias=use_bias) for _ in range(ndim)
        )
        self.merge = nn.ModuleList(
            nn.Linear(channels, channels, bias=use_bias) for _ in range(ndim)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position has read along each axis, added to x."""
        check_call(self, x, mask)
        for axis in range(self.ndim):
            x, _ = self._along(axis, x, mask)
        return x

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is read: the mean over axes, heads and real queries."""
        check_call(self, x, mask)
        found = masking.fill(x, mask, 0.0)[:, 0] * 0
        for axis in range(self.ndim):
            x, read = self._along(axis, x, mask, count=True)
            found = found + reading.shares(read)
        return AttentionMap(spatial=found / self.ndim)

    def _along(
        self, axis: int, x: Tensor, mask: Tensor | None, *, count: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return x after attention along one axis, and, if asked for, how much each position is read."""
        read = masking.fill(x, mask, 0.0)
        if self.positions == "sine":
            read = read + sine_positions(x)
        rows = read.movedim(1, -1).movedim(axis + 1, -2)  # (N, *others, S, C)
        keep = None if mask is None else mask.movedim(axis + 1, -1)  # (N, *others, S)
        outer = rows.shape[:-2]
        parts = self.project[axis](rows.flatten(0, -3)).unflatten(2, (3, self.num_heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # (M, heads, S, d)
        lines = None if keep is None else keep.flatten(0, -2)  # (M, S)
        scale = query.shape[3] ** -0.5
        heads = reading.attend(query, key, value, lines, scale=scale)
        y = self.merge[axis](heads.transpose(1, 2).flatten(2)).unflatten(0, outer)
        y = y.movedim(-2, axis + 1).movedim(-1, 1).to(x.dtype)
        received = x
        if count:
            received = reading.received(query, key, lines, scale=scale)
            received = received.reshape(*outer, received.shape[1])
            received = received if keep is None else received * keep.sum(-1, keepdim=True)
            received = received.movedim(-1, axis + 1)
        return (x + y if self.use_residual else y), received

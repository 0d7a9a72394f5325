"""BoTNet's self-attention: each position reads from all positions, by content and by relative position.

Paper    Srinivas et al., "Bottleneck Transformers for Visual Recognition", CVPR 2021, arXiv 2101.11605
Formula  in each head y = softmax((q k^T + q r^T) / sqrt(d)) v, with r = the vector of the row offset + the vector
         of the column offset, and q, k, v (d wide) = 1x1 convolutions of x
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     masked positions are not read
Cost     3 C^2 + ndim (2 size - 1) C / num_heads parameters, 3 C^2 P + 2 C P^2 + C P (W + (ndim - 1) H)
         multiply-adds. Memory grows with P^2
Follows  the paper
Differs  the paper's tables have the one size of its maps; here they hold the offsets up to `size` - 1, 14 x 14 being
         the paper's at 224 pixels, and farther offsets share the outermost vector, so that any size and any
         padding will do. It stands in place of a convolution: the input is not added
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention.checks import check_call, check_construction, check_integer
from zoo_attention.self_attention import reading
from zoo_attention.self_attention.heads import check_heads, join_heads
from zoo_attention.self_attention.relative import OffsetTables, relative_scores


class BottleneckSelfAttention(nn.Module):
    """Let each position read from all positions, by content and relative position.

    Args:
        channels: Number of channels C, a multiple of `num_heads`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_heads: Number of heads, at least 1.
        size: Side of the map up to which all offsets have vectors of their own, at least 1.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is no multiple of
            `num_heads`.
    """

    growth = 2

    def __init__(self, channels: int, *, ndim: int = 2, num_heads: int = 4, size: int = 14) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "num_heads", num_heads)
        check_integer(self, "size", size)
        check_heads(self, channels, num_heads)
        self.channels = channels
        self.ndim = ndim
        self.num_heads = num_heads
        self.size = size
        self.scale = (channels // num_heads) ** -0.5
        self.project = nn.Linear(channels, 3 * channels, bias=False)
        self.offsets = OffsetTables(
            torch.randn(2 * size - 1, channels // num_heads) * self.scale for _ in range(ndim)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position has read."""
        query, key, value = self._project(x, mask)
        scores = self._position_scores(query, x, mask)
        heads = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=scores, scale=self.scale
        )
        return reading.as_map(join_heads(heads), x)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is read: the mean over heads and real queries, summing to 1."""
        query, key, _ = self._project(x, mask)
        scores = query @ key.transpose(2, 3) * self.scale + self._position_scores(query, x, mask)
        found = reading.mean_of_rows(scores.softmax(3).mean(1), mask)  # (N, P)
        return AttentionMap(spatial=found.reshape(x.shape[0], *x.shape[2:]))

    def _project(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
        """Return query, key and value, each (N, heads, P, d)."""
        check_call(self, x, mask)
        parts = self.project(reading.tokens(x, mask)).unflatten(2, (3, self.num_heads, -1))
        return parts.permute(2, 0, 3, 1, 4).unbind(0)  # type: ignore[no-any-return]  # torch says Any

    def _position_scores(self, query: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return what is added to the scores, (N, heads, P, P): offsets', and -inf at masked keys."""
        rows = []
        for side in x.shape[2:]:
            place = torch.arange(side, device=x.device)
            offset = place - place.unsqueeze(1)  # key less query
            rows.append(offset.clamp(1 - self.size, self.size - 1) + self.size - 1)
        grid = torch.unflatten(query, 2, x.shape[2:]) * self.scale
        scores = relative_scores(grid, list(self.offsets), rows)
        keep = reading.keys(mask)
        return scores if keep is None else scores.masked_fill(~keep.unsqueeze(1), -math.inf)

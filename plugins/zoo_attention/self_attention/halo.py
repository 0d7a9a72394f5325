"""Halo attention: blocks of positions read from themselves and a halo around them.

Paper    Vaswani et al., "Scaling Local Self-Attention for Parameter Efficient Visual Backbones", CVPR 2021,
         arXiv 2103.12731
Formula  the map is cut into blocks of side b; each position of a block reads, in each head, from the window of side
         b + 2 h around the block: y = softmax((q k^T + q r^T) / sqrt(d)) v, r = the vector of the row offset + the
         vector of the column offset
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     masked positions are not read; blocks are counted from the map's start, so pad behind, not in front
Cost     3 C^2 + ndim (2 (b + halo_size) - 1) C / num_heads parameters, 3 C^2 P + 2 C Q s^ndim + ndim C Q s
         multiply-adds, b = block_size, s = b + 2 halo_size, Q = (b ceil(W / b)) (b ceil(H / b))^(ndim - 1)
Follows  the paper
Differs  any size: the last blocks are filled up and cropped. What lies outside the map is not read;
         `use_zero_padding=True` reads zeros there and at masked positions, as timm does. It stands in place
         of a convolution: the input is not added
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention.checks import check_bool, check_call, check_construction, check_integer
from zoo_attention.self_attention import reading, windows
from zoo_attention.self_attention.heads import check_heads, join_heads, split_heads
from zoo_attention.self_attention.relative import OffsetTables, relative_scores


class HaloAttention(nn.Module):
    """Let each position read from its block and a halo around the block.

    Args:
        channels: Number of channels C, a multiple of `num_heads`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_heads: Number of heads, at least 1.
        block_size: Side b of a block, at least 1.
        halo_size: Width h of the halo, at least 0.
        use_zero_padding: Whether zeros outside the map are read.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is no multiple of
            `num_heads`.
    """

    growth = 1

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        num_heads: int = 8,
        block_size: int = 8,
        halo_size: int = 3,
        use_zero_padding: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "num_heads", num_heads)
        check_integer(self, "block_size", block_size)
        check_integer(self, "halo_size", halo_size, least=0)
        check_bool(self, "use_zero_padding", use_zero_padding)
        check_heads(self, channels, num_heads)
        self.channels, self.ndim = channels, ndim
        self.num_heads = num_heads
        self.block_size, self.halo_size = block_size, halo_size
        self.use_zero_padding = use_zero_padding
        width = channels // num_heads
        self.scale = width**-0.5
        self.project = nn.Linear(channels, 3 * channels, bias=False)
        number = 2 * (block_size + halo_size) - 1
        self.offsets = OffsetTables(torch.randn(number, width) * self.scale for _ in range(ndim))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position has read."""
        query, key, value, scores = self._blocks(x, mask)
        heads = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=scores, scale=self.scale
        )
        return reading.as_map(windows.joined(join_heads(heads), x, self.block_size), x)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is read: the mean over heads and real queries, summing to 1."""
        query, key, _, scores = self._blocks(x, mask)
        weights = (query @ key.transpose(2, 3) * self.scale + scores).softmax(3).mean(1)
        real = reading.real(x, mask).to(weights.dtype)
        index, inside = windows.places(x, self.block_size)
        queries = real.flatten()[index] * inside  # (M, Q)
        index, inside = windows.places(x, self.block_size, self.halo_size)
        read = (weights * queries.unsqueeze(2)).sum(1) * inside  # (M, K)
        found = real.new_zeros(real.numel()).index_add(0, index.flatten(), read.flatten())
        return AttentionMap(spatial=reading.shares(found.reshape(real.shape) * real))

    def _blocks(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return query (M, heads, Q, d), key and value (M, heads, K, d), and scores of offsets."""
        check_call(self, x, mask)
        query, key, value = self.project(reading.tokens(x, mask)).flatten(0, 1).chunk(3, 1)
        index, _ = windows.places(x, self.block_size)
        query = split_heads(query[index], self.num_heads)
        index, inside = windows.places(x, self.block_size, self.halo_size)
        key, value = (split_heads(part[index], self.num_heads) for part in (key, value))
        place = torch.arange(self.block_size, device=x.device)
        reach = torch.arange(self.block_size + 2 * self.halo_size, device=x.device)
        rows = reach - place.unsqueeze(1) + self.block_size - 1
        grid = torch.unflatten(query, 2, [self.block_size] * self.ndim) * self.scale
        scores = relative_scores(grid, list(self.offsets), [rows] * self.ndim)
        if self.use_zero_padding:
            there = inside[:, None, :, None].to(key.dtype)
            return query, key * there, value * there, scores
        if mask is not None:
            inside = inside & mask.flatten()[index]
        keep = inside | ~inside.any(1, keepdim=True)
        return query, key, value, scores.masked_fill(~keep[:, None, None], -math.inf)

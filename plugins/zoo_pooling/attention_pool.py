"""Attention pooling of CLIP: the mean of the map reads from all positions and itself, in several heads.

Paper    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021,
         arXiv 2103.00020, section 2.4; what it leaves open from the authors' code (openai/CLIP)
Formula  t_0 = mean of x + p_0, t_i = x_i + p_i;   head_h = softmax(q_h K_h^T / sqrt(d)) V_h, with q = W_q t_0 + b_q,
         K = W_k t + b_k, V = W_v t + b_v;   y = W_c [head_1; ...] + b_c
Shapes   x (N, C, *spatial) -> y (N, out_channels), same dtype and device
Mask     masked positions are not read, the table of positions is laid over the box of the real ones; a
         sample without any real position gives zeros
Cost     3 C^2 + 3 C + C O + O + (S^ndim + 1) C parameters, 2 (P + 1) C (C + 1) + C^2 + C O + C S (P + (ndim - 1) S
         H) multiply-adds, O = C, S = table_size
Follows  the paper; where it is silent, the authors' code
Differs  the table p, as long as the map in the authors' nets, follows the size at hand by linear interpolation (at
         S x S nothing changes; timm's is bicubic). O is C, not the width of a text. Layers start as torch's do, not
         with CLIP's standard deviation of C^-0.5
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo_pooling import masking, regions
from zoo_pooling.checks import check_call, check_construction, check_heads, check_integer


class AttentionPool(nn.Module):
    """Pool a map to what its mean reads from it.

    Args:
        channels: Number of channels C, a multiple of `num_heads`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_heads: Number of heads, at least 1; None for one in 64 channels, or a few less that divide C.
        table_size: Size S of the learned table of positions on each axis, at least 1.
        out_channels: Width of the vector, at least 1; None for C.

    Attributes:
        out_features: Width of the vector.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is no multiple of
            `num_heads`.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        num_heads: int | None = None,
        table_size: int = 7,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        if num_heads is None:  # the most of 64 channels or more that share them out evenly
            num_heads = next(n for n in range(max(1, channels // 64), 0, -1) if channels % n == 0)
        check_heads(self, channels, num_heads)
        check_integer(self, "table_size", table_size)
        out_channels = channels if out_channels is None else out_channels
        check_integer(self, "out_channels", out_channels)
        self.channels = channels
        self.ndim = ndim
        self.num_heads = num_heads
        self.out_features = out_channels
        self.mean_position = nn.Parameter(torch.randn(channels) * channels**-0.5)
        self.positions = nn.Parameter(torch.randn(*[table_size] * ndim, channels) * channels**-0.5)
        self.query = nn.Linear(channels, channels)
        self.read = nn.Linear(channels, 2 * channels)
        self.merge = nn.Linear(channels, out_channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        real = masking.fill(x, mask, 0.0)
        first = (masking.mean(real, mask) + self.mean_position).unsqueeze(1)  # (N, 1, C)
        # Added before it is permuted: after, torch.export would guard against some lengths.
        tokens = masking.tokens(real + self._positions(x, mask))  # (N, P, C)
        tokens = torch.cat([first, tokens], 1).to(x.dtype)
        parts = self.read(tokens).unflatten(2, (2, self.num_heads, -1))  # (N, P + 1, 2, heads, d)
        key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # (N, heads, P + 1, d) each
        query = self.query(tokens[:, 0]).unflatten(1, (self.num_heads, 1, -1))  # (N, heads, 1, d)
        keep = masking.flat(mask)
        if keep is not None:
            keep = functional.pad(keep, (1, 0), value=True)[:, None, None, :]  # (N, 1, 1, P + 1)
        heads = functional.scaled_dot_product_attention(query, key, value, attn_mask=keep)
        return masking.zero_empty(self.merge(heads.flatten(1)), mask).to(x.dtype)

    def no_weight_decay(self) -> set[str]:
        """Return the vectors of positions, which are no weights of a map."""
        return {"positions"}

    def _positions(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the table at the size of the map, (N or 1, C, *spatial)."""
        table = self.positions.unsqueeze(0)  # (1, S, ..., C)
        for axis in masking.axes(x):
            along = _interpolation(x, mask, axis, self.positions.shape[0]).to(table.dtype)
            before = [None] * (axis - 2)
            # (N, ..., L, S) @ (N, ..., S, rest): sizes so far, then this axis, then what is left.
            rest = table.shape[axis:]
            table = along[(slice(None), *before)] @ table.flatten(axis)
            table = torch.unflatten(table, axis, rest) if len(rest) > 1 else table
        return table.movedim(-1, 1).contiguous()


def _interpolation(x: Tensor, mask: Tensor | None, axis: int, size: int) -> Tensor:
    """Return how much of each of `size` table entries each position of an axis takes, (N, L, size)."""
    first, extent = regions.box(x, mask, axis)  # (N, 1)
    middle = torch.arange(x.shape[axis], device=x.device) - first + 0.5  # (N, L)
    place = (middle * size / extent - 0.5).clamp(0, size - 1).unsqueeze(2)
    return (1 - (place - torch.arange(size, device=x.device)).abs()).clamp(min=0)

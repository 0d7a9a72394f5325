"""Outlook attention: each position says, from itself alone, how its neighbours read from each other.

Paper    Yuan et al., "VOLO: Vision Outlooker for Visual Recognition", TPAMI 2022, arXiv 2106.13112
Formula  A_i = softmax over n of (W_A x_i / sqrt(d)), (K, K) for the K = kernel_size^ndim positions around i;
         o_m = sum over all i around m, and n around i, of A_i[m, n] v_n, in each head;   y = x + W_O o
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     masked positions are read as zeros, as is what lies outside the map, and say nothing
Cost     2 C^2 + C + (C + 1) num_heads K^2 parameters, (2 C^2 + C num_heads K^2 + C K^2) P multiply-adds, K =
         kernel_size^ndim
Follows  the paper
Differs  stride 1. The input is added (`use_residual`); the norm and the other parts of the paper's block are not
         here. Heads are 32 wide in the paper: 4 is its number for C = 128
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention.checks import (
    check_bool,
    check_call,
    check_construction,
    check_integer,
    check_odd,
)
from zoo_attention.self_attention import reading
from zoo_attention.self_attention.heads import check_heads


class OutlookAttention(nn.Module):
    """Let neighbours read from each other as the position between them says.

    Args:
        channels: Number of channels C, a multiple of `num_heads`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_heads: Number of heads, at least 1.
        kernel_size: Side of the neighbourhood, odd.
        use_residual: Whether the input is added to the output.

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
        num_heads: int = 4,
        kernel_size: int = 3,
        use_residual: bool = True,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "num_heads", num_heads)
        check_odd(self, "kernel_size", kernel_size)
        check_bool(self, "use_residual", use_residual)
        check_heads(self, channels, num_heads)
        self.channels = channels
        self.ndim = ndim
        self.num_heads = num_heads
        self.use_residual = use_residual
        self.scale = (channels // num_heads) ** -0.5
        self.kernel = (kernel_size if ndim == 2 else 1, kernel_size)
        self.value = nn.Linear(channels, channels, bias=False)
        self.weigh = nn.Linear(channels, num_heads * kernel_size ** (2 * ndim))
        self.merge = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position has read, added to x."""
        weights, row = self._weights(x, mask)  # (N, heads, P, K, K)
        value = reading.as_map(self.value(row), x)
        near = self._unfold(value)  # (N, C K, P)
        sizes = (self.num_heads, self.channels // self.num_heads, weights.shape[3])
        near = torch.unflatten(near, 1, sizes).permute(0, 1, 4, 3, 2)  # (N, heads, P, K, d)
        read = weights.to(near.dtype) @ near  # (N, heads, P, K, d)
        read = self._fold(read.permute(0, 1, 4, 3, 2).flatten(1, 3).to(x.dtype), x)
        y = reading.as_map(self.merge(read.flatten(2).transpose(1, 2)), x)
        return x + y if self.use_residual else y

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is read, over all heads and readers, summing to 1."""
        weights, _ = self._weights(x, mask)
        real = reading.real(x, mask)
        readers = self._unfold(real.unsqueeze(1).to(weights.dtype)).transpose(1, 2)  # (N, P, K)
        read = (weights.mean(1) * readers.unsqueeze(3)).sum(2)  # (N, P, K)
        found = self._fold(read.transpose(1, 2), x).squeeze(1) * real
        return AttentionMap(spatial=reading.shares(found))

    def _weights(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return A, (N, heads, P, K, K), 0 where the middle is masked, and the tokens (N, P, C)."""
        check_call(self, x, mask)
        row = reading.tokens(x, mask)
        number = self.kernel[0] * self.kernel[1]
        scores = self.weigh(row).unflatten(2, (self.num_heads, number, number))
        weights = (scores * self.scale).softmax(4).transpose(1, 2)
        if mask is not None:
            weights = torch.where(mask.flatten(1)[:, None, :, None, None], weights, 0.0)
        return weights, row

    def _unfold(self, x: Tensor) -> Tensor:
        """Return what stands around each position, (N, C K, P)."""
        plane = x if self.ndim == 2 else x.unsqueeze(2)
        return functional.unfold(plane, self.kernel, padding=tuple(k // 2 for k in self.kernel))

    def _fold(self, near: Tensor, x: Tensor) -> Tensor:
        """Return (N, C K, P) added up where it belongs, (N, C, *spatial)."""
        size = tuple(x.shape[2:]) if self.ndim == 2 else (1, x.shape[2])
        padding = tuple(k // 2 for k in self.kernel)
        plane = functional.fold(near, size, self.kernel, padding=padding)
        return plane if self.ndim == 2 else plane.squeeze(2)

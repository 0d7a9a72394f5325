"""Efficient attention: summarize the map first, so that nothing grows with the square of its size.

Paper    Shen et al., "Efficient Attention: Attention with Linear Complexities", WACV 2021, arXiv 1812.01243
Formula  E = rho_q(Q) (rho_k(K)^T V), rho_q a softmax over the d_k channels of each position, rho_k one over the
         positions of each channel;   y = x + W E, with Q, K, V = 1x1 convolutions of x
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     rho_k is over real positions
Cost     4 C h + 3 h + C parameters, (4 C h + 2 h^2 / num_heads) P multiply-adds, h = max(C // reduction, num_heads)
Follows  the paper
Differs  heads are the authors' addition (cmsflash/efficient-attention, read for this), 1 is the paper. d_k
         and d_v are the user's to choose: here both are h, half of C, as in the non-local block that it
         replaces. Of the paper's two normalizations this is the softmax; the other divides Q and K by the
         root of P. Convolutions have biases
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention.checks import check_call, check_construction, check_integer
from zoo_attention.self_attention import reading
from zoo_attention.self_attention.heads import check_heads, split_heads


class EfficientAttention(nn.Module):
    """Add to each position what it picks from a summary of the map.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower queries, keys and values are than the map, at least 1.
        num_heads: Number of heads, at least 1; a divisor of that width.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or the width of queries is no multiple of
            `num_heads`.
    """

    growth = 1

    def __init__(
        self, channels: int, *, ndim: int = 2, reduction: int = 2, num_heads: int = 1
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_integer(self, "num_heads", num_heads)
        width = max(channels // reduction, num_heads)
        check_heads(self, width, num_heads, name="channels // reduction")
        self.channels = channels
        self.ndim = ndim
        self.num_heads = num_heads
        self.query = nn.Linear(channels, width)
        self.key = nn.Linear(channels, width)
        self.value = nn.Linear(channels, width)
        self.merge = nn.Linear(width, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with what each position picks from the summary added."""
        query, key, row = self._normalized(x, mask)
        value = split_heads(self.value(row), self.num_heads)  # (N, heads, P, d)
        summary = key.to(value.dtype) @ value  # (N, heads, d, d)
        heads = query.to(value.dtype) @ summary  # (N, heads, P, d)
        return x + reading.as_map(self.merge(heads.transpose(1, 2).flatten(2)), x)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is read: the mean over heads and real queries, summing to 1."""
        query, key, _ = self._normalized(x, mask)
        mean = reading.mean_of_rows(query.transpose(1, 2).flatten(2), mask)  # (N, h)
        query_mean = torch.unflatten(mean, 1, (self.num_heads, 1, -1))  # (N, heads, 1, d)
        found = (query_mean @ key).squeeze(2).mean(1)  # (N, P)
        return AttentionMap(spatial=found.reshape(x.shape[0], *x.shape[2:]))

    def _normalized(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return rho_q(Q) (N, heads, P, d), rho_k(K) (N, heads, d, P), and the tokens (N, P, C)."""
        check_call(self, x, mask)
        row = reading.tokens(x, mask)
        key = reading.softmax(self.key(row).transpose(1, 2), mask)  # (N, h, P)
        key = torch.unflatten(key, 1, (self.num_heads, -1))
        return split_heads(self.query(row), self.num_heads).softmax(3), key, row

"""DANet's position attention: each position adds what it reads from all positions, from nothing at the start.

Paper    Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019, arXiv 1809.02983
Formula  s_ji = softmax_i(B_i . C_j);   E_j = alpha sum over i of s_ji D_i + A_j, alpha 0 at the start,
         with B, C, D = 1x1 convolutions of the map A
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     masked positions are not read
Cost     C^2 + 2 C h + C + 2 h + 1 parameters, (C^2 + 2 C h) P + 2 C P^2 + C P multiply-adds, h = max(C //
         reduction, 1); `use_bias=False`: C + 2 h fewer parameters. Queries and keys are filled up to C with zeros,
         so that torch's attention serves, which keeps no (P, P) matrix
Follows  the authors' code
Differs  the paper gives B and C all C channels (`reduction=1`); the default is the authors' code
         (junfu1115/DANet, read for this), with which its figures were measured: an eighth of them
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention.checks import check_bool, check_call, check_construction, check_integer
from zoo_attention.self_attention import reading


class PositionAttention(nn.Module):
    """Add to each position what it reads from all positions, by a learnt amount.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower queries and keys are than the map, at least 1.
        use_bias: Whether the projections have biases.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    growth = 2

    def __init__(
        self, channels: int, *, ndim: int = 2, reduction: int = 8, use_bias: bool = True
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_bool(self, "use_bias", use_bias)
        self.channels = channels
        self.ndim = ndim
        width = max(channels // reduction, 1)
        self.query = nn.Linear(channels, width, bias=use_bias)  # the paper's C
        self.key = nn.Linear(channels, width, bias=use_bias)  # B
        self.value = nn.Linear(channels, channels, bias=use_bias)  # D
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with alpha times what each position has read added."""
        check_call(self, x, mask)
        row = reading.tokens(x, mask)  # (N, P, C)
        query, key, value = self.query(row), self.key(row), self.value(row)
        read = reading.attend(query, key, value, mask, scale=1.0)  # (N, P, C)
        return x + reading.as_map(read, x) * self.alpha.to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is read: the mean over real queries, summing to 1."""
        check_call(self, x, mask)
        row = reading.tokens(x, mask)
        found = reading.received(self.query(row), self.key(row), mask, scale=1.0)
        return AttentionMap(spatial=found.reshape(x.shape[0], *x.shape[2:]))

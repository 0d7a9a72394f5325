"""Efficient additive attention: one query pooled from all positions meets the key of each.

Paper    Shaker et al., "SwiftFormer: Efficient Additive Attention for Transformer-based Real-time Mobile Vision
         Applications", ICCV 2023, arXiv 2303.15446
Formula  Q, K = W_q x, W_k x, each position's scaled to length 1;   a = Q . w / sqrt(C), scaled to length 1 over
         positions;   g = sum over i of a_i Q_i;   y_i = x_i + W_O (Q_i + T(K_i * g))
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     the length of a and the sum are over real positions
Cost     4 C^2 + 5 C parameters, (4 C^2 + 3 C) P multiply-adds
Follows  the authors' code
Differs  the default is the authors' code as it is now (Amshaker/SwiftFormer, read for this): a is scaled to
         length 1, and W_O follows. The paper's equation, as a public reading note quotes it, is a softmax of a over
         positions: `normalization="softmax"`. "none" leaves a as the product gives it. In the code's first
         version the softmax was over an axis of size 1: all weights were 1. The input is added (`use_residual`),
         the other parts of the SwiftFormer block are not here
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention.checks import check_bool, check_call, check_choice, check_construction
from zoo_attention.self_attention import reading


class EfficientAdditiveAttention(nn.Module):
    """Let the key of each position meet one query pooled from all positions.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        normalization: What becomes of the weights of positions: `"length"` scales them to length 1,
            `"softmax"` makes them shares, `"none"` leaves them.
        use_residual: Whether the input is added to the output.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    growth = 1

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        normalization: Literal["length", "softmax", "none"] = "length",
        use_residual: bool = True,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_choice(self, "normalization", normalization, ("length", "softmax", "none"))
        check_bool(self, "use_residual", use_residual)
        self.channels = channels
        self.ndim = ndim
        self.normalization = normalization
        self.use_residual = use_residual
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.weigh = nn.Parameter(torch.randn(channels))
        self.transform = nn.Linear(channels, channels)
        self.merge = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position makes of the pooled query, added to x."""
        weights, query, row = self._weights(x, mask)
        key = reading.unit(self.key(row), 2)
        pooled = weights.to(query.dtype) @ query  # (N, 1, C)
        y = reading.as_map(self.merge(self.transform(key * pooled) + query), x)
        return x + y if self.use_residual else y

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the size of each position's weight in the pooled query, as shares that sum to 1."""
        weights, _, _ = self._weights(x, mask)
        size = weights.abs().reshape(x.shape[0], *x.shape[2:])
        return AttentionMap(spatial=reading.shares(size))

    def _weights(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the weights of positions, (N, 1, P), the queries and the tokens, (N, P, C)."""
        check_call(self, x, mask)
        row = reading.tokens(x, mask)
        query = reading.unit(self.query(row), 2)
        weights = (query @ self.weigh.unsqueeze(1)).transpose(1, 2) * self.channels**-0.5
        if self.normalization == "softmax":
            weights = reading.softmax(weights, mask)
        if mask is not None:
            weights = torch.where(mask.flatten(1).unsqueeze(1), weights, 0.0)
        if self.normalization == "length":
            weights = reading.unit(weights, 2)
        return weights, query, row

"""Coordinate attention: weigh each value by its row and by its column.

Paper    Hou et al., "Coordinate Attention for Efficient Mobile Network Design", CVPR 2021,
         arXiv 2103.02907
Formula  f = hardswish(BN(W1 [means of rows; means of columns])), over all strips at once
         g = sigmoid(Wh f of rows), k = sigmoid(Ww f of columns);   y_ij = x_ij * g_i * k_j
Shapes   x (N, C, H, W) -> y (N, C, H, W), same dtype and device
Mask     means are over real positions; the norm learns from strips that have some
Cost     3 C h + 2 h parameters, 2 C h (H + W) + 2 C P multiply-adds, h = max(C // reduction, min_hidden);
         `use_bias=True`: 2 C + h more parameters
Follows  the paper; where it is silent, the authors' code
Differs  no biases beside the norm's; the authors' code (houqb/CoordAttention) has them (`use_bias=True`).
         The hard swish is that code's: the paper says "a non-linear activation"
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import eager
from zoo_attention.checks import (
    check_batch_norm,
    check_bool,
    check_call,
    check_construction,
    check_integer,
)
from zoo_attention.normalizing import batch_norm
from zoo_attention.strips import check_two_axes, column_means, real_strips, row_means


class CoordinateAttention(nn.Module):
    """Weigh each value of a map by its row and by its column, channel by channel.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 2.
        reduction: How many times narrower the hidden layer is than the map, at least 1.
        min_hidden: Width that the hidden layer has at least, from 1.
        use_bias: Whether the three layers have biases.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        reduction: int = 32,
        min_hidden: int = 8,
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_two_axes(self, ndim)
        check_integer(self, "reduction", reduction)
        check_integer(self, "min_hidden", min_hidden)
        check_bool(self, "use_bias", use_bias)
        self.channels = channels
        self.ndim = ndim
        width = max(channels // reduction, min_hidden)
        self.reduce = nn.Conv1d(channels, width, 1, bias=use_bias)
        self.norm = nn.BatchNorm1d(width)
        self.expand_rows = nn.Conv1d(width, channels, 1, bias=use_bias)
        self.expand_columns = nn.Conv1d(width, channels, 1, bias=use_bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x weighed by rows and columns."""
        rows, columns = (gate.to(x.dtype) for gate in self._gates(x, mask))
        weighed = x * columns
        return eager.multiply(weighed, rows, into=weighed)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position, the mean over channels, between 0 and 1."""
        rows, columns = self._gates(x, mask)
        return AttentionMap(spatial=(rows * columns).mean(1))

    def _gates(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the gates of rows, (N, C, H, 1), and of columns, (N, C, 1, W)."""
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        strips = torch.cat([row_means(x, mask), column_means(x, mask)], 2)  # (N, C, H + W)
        real = None if mask is None else torch.cat(real_strips(mask), 1)
        hidden = functional.hardswish(batch_norm(self.norm, self.reduce(strips), real))
        height = x.shape[2]
        rows = torch.sigmoid(self.expand_rows(hidden[..., :height]))
        columns = torch.sigmoid(self.expand_columns(hidden[..., height:]))
        return rows.unsqueeze(3), columns.unsqueeze(2)

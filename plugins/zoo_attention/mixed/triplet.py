"""Triplet attention: weigh each value by its channel and row, its channel and column, its row and column.

Paper    Misra et al., "Rotate to Attend: Convolutional Triplet Attention Module", WACV 2021,
         arXiv 2010.03045
Formula  a plane for each pair of axes, pooled over the third:  gate = sigmoid(BN(conv7x7([max; mean])))
         y = x * (gate(row, channel) + gate(channel, column) + gate(row, column)) / 3
Shapes   x (N, C, H, W) -> y (N, C, H, W), same dtype and device
Mask     maxima and means are over real positions; places of a plane without any are zeros to the
         convolution, and the norm does not learn from them
Cost     6 k^2 + 6 parameters, 2 k^2 (H C + C W + P) + C P multiply-adds, k = kernel_size
Follows  the paper; where it is silent, the authors' code
Differs  the momentum of the norms, 0.01, is that of the authors' code (landskape-ai/triplet-attention);
         instead of rotating the map, it is pooled along each axis, and the three gates are added up
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import eager, masking, maxima
from zoo_attention.checks import check_batch_norm, check_call, check_construction, check_odd
from zoo_attention.normalizing import batch_norm
from zoo_attention.strips import check_two_axes, column_means, real_strips, row_means


class TripletAttention(nn.Module):
    """Weigh each value of a map by three planes: one for each pair of its axes.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 2.
        kernel_size: Side of the convolution over each plane, odd.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, kernel_size: int = 7) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_two_axes(self, ndim)
        check_odd(self, "kernel_size", kernel_size)
        self.channels = channels
        self.ndim = ndim
        self.row_channel = _Plane(kernel_size)
        self.channel_column = _Plane(kernel_size)
        self.row_column = _Plane(kernel_size)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x weighed by the mean of three gates."""
        gate = self._gate(x, mask)
        return eager.multiply(x, gate, into=gate)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the means of the gate, between 0 and 1, over real positions and over channels."""
        gate = self._gate(x, mask)
        return AttentionMap(channel=masking.mean(gate, mask), spatial=gate.mean(1))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        low = masking.fill(x, mask, -math.inf)
        pooled = [  # maximum and mean of each row, (N, C, H), column, (N, C, W), and position, (N, H, W)
            (maxima.amax(low, 3), row_means(x, mask)),
            (maxima.amax(low, 2), column_means(x, mask)),
            (maxima.amax(x, 1), masking.mean_of_channels(x).squeeze(1)),
        ]
        rows, columns = (None, None) if mask is None else real_strips(mask)
        # Rows come first in the paper's plane, channels in ours: turned before and after.
        row = self.row_channel([part.transpose(1, 2) for part in pooled[0]], _beside(rows, x, 2))
        column = self.channel_column(pooled[1], _beside(columns, x, 1))
        both = self.row_column(pooled[2], mask)
        row, column, both = (part.to(x.dtype) / 3 for part in (row, column, both))  # (N, 1, ...)
        row = row.transpose(
            1, 3
        ).contiguous()  # else the sum, a map, would lie in memory as rows do
        gate: Tensor = row + column.transpose(1, 2)  # (N, C, H, W)
        if gate.requires_grad or not eager.is_eager():
            gate = gate + both
        else:
            gate.add_(both)
        return gate


class _Plane(nn.Module):
    """The gate of one plane, from its maxima and means."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, pooled: list[Tensor] | tuple[Tensor, ...], mask: Tensor | None) -> Tensor:
        """Return the gate (N, 1, A, B) of two (N, A, B)."""
        planes = masking.fill(torch.stack(list(pooled), 1), mask, 0.0)
        return torch.sigmoid(batch_norm(self.norm, self.conv(planes), mask))


def _beside(real: Tensor | None, x: Tensor, axis: int) -> Tensor | None:
    """Return a mask of strips, (N, H or W), as that of their plane with all channels along `axis`."""
    if real is None:
        return None
    shape = [-1, -1, -1]
    shape[axis] = x.shape[1]
    return real.unsqueeze(axis).expand(shape)

"""Strip pooling: weigh values by the means of their row and of their column.

Paper    Hou et al., "Strip Pooling: Rethinking Spatial Pooling for Scene Parsing", CVPR 2020, arXiv 2003.13328
Formula  h = conv3(means of the rows of x), v = conv3(means of its columns), along the rows and columns
         y[i, j] = x[i, j] * sigmoid(W (h[i] + v[j]) + b)
Shapes   x (N, C, H, W) -> y (N, C, H, W), same dtype and device
Mask     means over real positions; rows and columns without any are zeros to the convolutions
Cost     7 C^2 + C parameters, 4 C^2 (H + W) + C P multiply-adds; `use_batch_norm=True`: 4 C more parameters, 3 C^2
         (H + W) + C^2 P + C P multiply-adds
Follows  the paper
Differs  the authors' code (houqb/SPNet, the SPBlock of its resnet.py) has a batch norm after each conv3, and a ReLU
         before W: `use_batch_norm=True`. Without, W is applied to rows and columns before they are added up: it is
         linear, and they are fewer. This is the paper's strip pooling module; its mixed one is not here
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import normalizing
from zoo_attention.checks import (
    check_batch_norm,
    check_bool,
    check_call,
    check_construction,
)
from zoo_attention.strips import check_two_axes, column_means, real_strips, row_means


class StripPooling(nn.Module):
    """Weigh the values of a map by its strips, rows and columns.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 2.
        use_batch_norm: Whether batch norms follow the convolutions over strips, and a ReLU their sum. In
            training they need more than one position in the batch.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, use_batch_norm: bool = False) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_two_axes(self, ndim)
        check_bool(self, "use_batch_norm", use_batch_norm)
        self.channels = channels
        self.ndim = ndim
        self.row_conv = nn.Conv1d(channels, channels, 3, padding=1, bias=False)
        self.column_conv = nn.Conv1d(channels, channels, 3, padding=1, bias=False)
        self.row_norm = nn.BatchNorm1d(channels) if use_batch_norm else None
        self.column_norm = nn.BatchNorm1d(channels) if use_batch_norm else None
        self.merge = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its values weighed."""
        return x * self._gate(x, mask).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position, the mean over channels, between 0 and 1."""
        return AttentionMap(spatial=self._gate(x, mask).mean(1))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        rows = self.row_conv(row_means(x, mask))  # (N, C, H)
        columns = self.column_conv(column_means(x, mask))  # (N, C, W)
        if self.row_norm is None or self.column_norm is None:
            rows = self.merge(rows).unsqueeze(3)
            columns = functional.conv1d(columns, self.merge.weight).unsqueeze(2)
            return torch.sigmoid(rows + columns)  # (N, C, H, W)
        check_batch_norm(self, x, mask)
        some = (None, None) if mask is None else real_strips(mask)
        rows = normalizing.batch_norm(self.row_norm, rows, some[0]).unsqueeze(3)
        columns = normalizing.batch_norm(self.column_norm, columns, some[1]).unsqueeze(2)
        total = functional.relu(rows + columns)  # (N, C, H, W)
        return torch.sigmoid(self.merge(total.flatten(2)).reshape(x.shape))

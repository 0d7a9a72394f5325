"""Efficient local attention: weigh each value by its row and column, each read with its neighbours.

Paper    Xu and Wan, "ELA: Efficient Local Attention for Deep Convolutional Neural Networks",
         arXiv 2403.01123
Formula  g = sigmoid(GN(conv(means of rows))), k = sigmoid(GN(conv(means of columns)));   y_ij = x_ij * g_i * k_j
Shapes   x (N, C, H, W) -> y (N, C, H, W), same dtype and device
Mask     means are over real positions; strips without any are zeros to the convolution, and no part of
         the norm's statistics
Cost     C k + 2 C parameters, C k (H + W) + 2 C P multiply-adds, k = kernel_size channels_per_conv_group;
         `use_shared_layers=False`: C k + 2 C more parameters
Follows  the paper; where it is silent, the authors' code
Differs  the default is ELA-B: kernel 7, a convolution in C groups, a norm in 16. ELA-T has 5 and 32, ELA-S
         5 and ELA-L 7 with 8 channels a group of the convolution. Numbers of groups are greatest common
         divisors with C, so that any width works. Rows and columns go through the same convolution and
         norm, as in the authors' code (Xuwei86/ELA_Code); `use_shared_layers=False` gives each its own
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import eager
from zoo_attention.checks import (
    check_bool,
    check_call,
    check_construction,
    check_integer,
    check_odd,
)
from zoo_attention.normalizing import group_norm
from zoo_attention.strips import check_two_axes, column_means, real_strips, row_means


class EfficientLocalAttention(nn.Module):
    """Weigh each value of a map by its row and by its column, channel by channel.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 2.
        kernel_size: How many neighbouring strips are read, odd.
        channels_per_conv_group: How many channels a group of the convolution has, at least 1; of which the
            greatest common divisor with `channels` is used.
        norm_groups: Number of groups of the norm, at least 1; likewise.
        use_shared_layers: Whether rows and columns have one convolution and norm between them.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        kernel_size: int = 7,
        channels_per_conv_group: int = 1,
        norm_groups: int = 16,
        use_shared_layers: bool = True,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_two_axes(self, ndim)
        check_odd(self, "kernel_size", kernel_size)
        check_integer(self, "channels_per_conv_group", channels_per_conv_group)
        check_integer(self, "norm_groups", norm_groups)
        check_bool(self, "use_shared_layers", use_shared_layers)
        self.channels = channels
        self.ndim = ndim
        groups = channels // math.gcd(channels, channels_per_conv_group)
        number = 1 if use_shared_layers else 2
        self.convs = nn.ModuleList(
            nn.Conv1d(
                channels, channels, kernel_size, padding=kernel_size // 2, groups=groups, bias=False
            )
            for _ in range(number)
        )
        norm_groups = math.gcd(channels, norm_groups)
        self.norms = nn.ModuleList(nn.GroupNorm(norm_groups, channels) for _ in range(number))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x weighed by rows and columns."""
        rows, columns = (gate.to(x.dtype) for gate in self._gates(x, mask))
        weighed = x * rows
        return eager.multiply(weighed, columns, into=weighed)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position, the mean over channels, between 0 and 1."""
        rows, columns = self._gates(x, mask)
        return AttentionMap(spatial=(rows * columns).mean(1))

    def _gates(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the gates of rows, (N, C, H, 1), and of columns, (N, C, 1, W)."""
        check_call(self, x, mask)
        rows, columns = (None, None) if mask is None else real_strips(mask)
        row_gate = self._gate(row_means(x, mask), rows, 0)
        return row_gate.unsqueeze(3), self._gate(column_means(x, mask), columns, -1).unsqueeze(2)

    def _gate(self, strips: Tensor, real: Tensor | None, which: int) -> Tensor:
        conv, norm = cast("nn.Conv1d", self.convs[which]), cast("nn.GroupNorm", self.norms[which])
        # As a map of one column: the gradient of one row, which `Conv1d` makes of a line, takes twice as long.
        column, kernel = strips.unsqueeze(3), conv.weight.unsqueeze(3)
        half = conv.kernel_size[0] // 2
        near = functional.conv2d(column, kernel, padding=(half, 0), groups=conv.groups)
        return torch.sigmoid(group_norm(norm, near.squeeze(3), real))

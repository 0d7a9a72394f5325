"""Pyramid squeeze attention: convolve at several sizes, and let the sizes compete for each channel.

Paper    Zhang et al., "EPSANet: An Efficient Pyramid Squeeze Attention Block on Convolutional Neural
         Network", ACCV 2022, arXiv 2105.14447
Formula  F_s = conv_s(x), kernel k_s, in g_s groups, to C / S channels, for s = 1 ... S
         z_s = sigmoid(W1 relu(W0 mean of F_s + b0) + b1), the same W0, W1 for all sizes
         y = [F_1 * a_1; ...; F_S * a_S], a_s = softmax of z over s
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     masked positions are zeros to the convolutions; means are over real positions
Cost     C D k + 2 D h + D + h parameters, C D k P + 2 C h + C P multiply-adds, S = len(kernel_sizes), D = C // S, h
         = max(D // reduction, min_hidden), k = sum(kernel_sizes^ndim / gcd(D, groups))
Follows  the paper
Differs  the numbers of groups are gcd(D, g_s), so that narrow maps work. Hidden width is at least 8
         (`min_hidden=1` is the paper's). The authors' code (murufeng/EPSANet) puts the sizes one before
         the other, [F_S * a_S; ...; F_1 * a_1] (`use_reversed_order=True`). It replaces a convolution: y
         is no gated x
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap, InvalidValue
from zoo_attention import eager, masking
from zoo_attention.checks import (
    check_bool,
    check_call,
    check_construction,
    check_integer,
    check_odd,
)


class PyramidSqueezeAttention(nn.Module):
    """Convolve a map with kernels of several sizes that compete for each channel.

    Args:
        channels: Number of channels C, a multiple of the number of kernels.
        ndim: Number of spatial dimensions, 1 or 2.
        kernel_sizes: Sides of the kernels, odd, at least one.
        groups: Number of groups of each convolution, one a kernel; of which the greatest common divisor
            with C / S is used.
        reduction: How many times narrower the hidden layer is than C / S, at least 1.
        min_hidden: Width that the hidden layer has at least, from 1.
        use_reversed_order: Whether the largest kernel's channels come first.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` cannot be divided.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        kernel_sizes: Sequence[int] = (3, 5, 7, 9),
        groups: Sequence[int] = (1, 4, 8, 16),
        reduction: int = 16,
        min_hidden: int = 8,
        use_reversed_order: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_integer(self, "min_hidden", min_hidden)
        check_bool(self, "use_reversed_order", use_reversed_order)
        width = self._width(channels, kernel_sizes, groups)
        self.channels = channels
        self.ndim = ndim
        self.use_reversed_order = use_reversed_order
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        self.convs = nn.ModuleList(
            conv(channels, width, k, padding=k // 2, groups=math.gcd(width, g), bias=False)
            for k, g in zip(kernel_sizes, groups, strict=True)
        )
        narrow = max(width // reduction, min_hidden)
        self.reduce = nn.Linear(width, narrow)
        self.expand = nn.Linear(narrow, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the weighed maps of all sizes, side by side."""
        maps, weights = self._read(x, mask)
        y = torch.cat(maps, 1).to(x.dtype)
        weights = masking.spread(weights.flatten(1), y)
        return eager.multiply(y, weights, into=y)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel of y, which sum to 1 over the sizes."""
        return AttentionMap(channel=self._read(x, mask)[1].flatten(1))

    def _read(self, x: Tensor, mask: Tensor | None) -> tuple[list[Tensor], Tensor]:
        """Return the map of each size and the weights, (N, S, C / S), in the order of y."""
        check_call(self, x, mask)
        clean = masking.fill(x, mask, 0.0)
        maps = [conv(clean) for conv in self.convs]
        if self.use_reversed_order:
            maps.reverse()
        means = torch.stack([masking.mean(each, mask) for each in maps], 1)  # (N, S, C / S)
        gates = torch.sigmoid(self.expand(functional.relu(self.reduce(means))))
        return maps, gates.softmax(1)

    def _width(self, channels: int, kernel_sizes: Sequence[int], groups: Sequence[int]) -> int:
        """Return C / S, or refuse what has no such width."""
        sizes, name = len(kernel_sizes), type(self).__name__
        if not sizes or sizes != len(groups):
            raise InvalidValue(f"{name}: {sizes} kernel_sizes, {len(groups)} groups: one for each.")
        for size, number in zip(kernel_sizes, groups, strict=True):
            check_odd(self, "a value of kernel_sizes", size)
            check_integer(self, "a value of groups", number)
        if channels % sizes:
            raise InvalidValue(
                f"{name}: channels is {channels}, but must be a multiple of {sizes}, the number of kernels."
            )
        return channels // sizes

"""Involution: each position makes, from itself alone, the kernel that reads its neighbours.

Paper    Li et al., "Involution: Inverting the Inherence of Convolution for Visual Recognition", CVPR 2021,
         arXiv 2103.06255
Formula  H_p = W1 relu(BN(W0 x_p)), one kernel of K^ndim weights for each of G groups of channels
         y_p = sum over neighbours q of p of H_p[q - p] x_q
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     masked positions are read as zeros; the norm is over real positions
Cost     C h + 2 h + (h + 1) k G parameters, P (C h + h k G + k C) multiply-adds, h = max(C // reduction,
         min_hidden), k = kernel_size^ndim, G = C // gcd(C, group_channels)
Follows  the paper; where it is silent, the authors' code
Differs  groups are gcd(C, group_channels) wide, so that narrow maps work. Hidden width is at least 8
         (`min_hidden=1` is the paper's). W1 has a bias and W0, before its norm, none, as in the authors' code
         (d-li14/involution). Stride 1
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.branch.neighbours import convolve
from zoo_attention.checks import (
    check_batch_norm,
    check_call,
    check_construction,
    check_integer,
    check_odd,
)
from zoo_attention.normalizing import batch_norm


class Involution(nn.Module):
    """Read the neighbours of each position with a kernel made from the position.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        kernel_size: The paper's K, side of the kernels, odd.
        reduction: How many times narrower the hidden layer is than the map, at least 1.
        group_channels: How many channels share a kernel, at least 1; of which the greatest common divisor
            with C is used.
        min_hidden: Width that the hidden layer has at least, from 1.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    gate_range = (-math.inf, math.inf)  # kernels as a layer makes them, as in the paper

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        kernel_size: int = 7,
        reduction: int = 4,
        group_channels: int = 16,
        min_hidden: int = 8,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_odd(self, "kernel_size", kernel_size)
        check_integer(self, "reduction", reduction)
        check_integer(self, "group_channels", group_channels)
        check_integer(self, "min_hidden", min_hidden)
        self.channels = channels
        self.ndim = ndim
        self.kernel_size = kernel_size
        self.groups = channels // math.gcd(channels, group_channels)
        hidden = max(channels // reduction, min_hidden)
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        self.reduce = conv(channels, hidden, 1, bias=False)
        self.norm = nn.BatchNorm1d(hidden) if ndim == 1 else nn.BatchNorm2d(hidden)
        self.span = conv(hidden, self.groups * kernel_size**ndim, 1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position has read of its neighbours."""
        kernels = self._kernels(x, mask)
        grouped = torch.unflatten(masking.fill(x, mask, 0.0), 1, (self.groups, -1))
        return convolve(grouped, kernels, self.kernel_size).flatten(1, 2)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the sum of each position's kernel, the mean over groups, of any sign."""
        return AttentionMap(spatial=self._kernels(x, mask).sum(2).mean(1))

    def _kernels(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return H, (N, G, K^ndim, *spatial)."""
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        clean = masking.fill(x, mask, 0.0)
        hidden = functional.relu(batch_norm(self.norm, self.reduce(clean), mask))
        return torch.unflatten(self.span(hidden), 1, (self.groups, -1))

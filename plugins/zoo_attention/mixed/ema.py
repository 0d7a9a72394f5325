"""Efficient multi-scale attention: weigh positions, group by group, by strips and a 3x3 in dialogue.

Paper    Ouyang et al., "Efficient Multi-Scale Attention Module with Cross-Spatial Learning", ICASSP 2023,
         arXiv 2305.13563
Formula  in each group of D = C / G channels, all groups with the same parameters:
         [r; c] = W [means of rows; means of columns] + b;   u_ij = GN(x_ij * sigmoid(r_i) * sigmoid(c_j))
         v = conv3x3(x);   s = softmax(mean of u) . v + softmax(mean of v) . u;   y = x * sigmoid(s)
         the softmaxes and products are over channels, GN norms each channel over space
Shapes   x (N, C, H, W) -> y (N, C, H, W), same dtype and device
Mask     means and variances are over real positions; masked positions are zeros to the convolution
Cost     10 D^2 + 4 D parameters, C D (9 P + H + W) + 5 C P multiply-adds, D = C // gcd(C, groups)
Follows  the paper
Differs  there are gcd(C, groups) groups, so that any width works; at C <= 32 a group may be one channel,
         whose softmax is 1, as in the authors' code (YOLOonMe/EMA-attention-module) at C = 32. The mean of
         u over space is the bias of GN, and is taken from there
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import check_call, check_construction, check_integer
from zoo_attention.normalizing import group_norm
from zoo_attention.strips import check_two_axes, column_means, row_means


class EfficientMultiScaleAttention(nn.Module):
    """Weigh the positions of each group of channels by what two branches say of each other.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 2.
        groups: Number of groups of channels, at least 1; of which the greatest common divisor with
            `channels` is used.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, groups: int = 32) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_two_axes(self, ndim)
        check_integer(self, "groups", groups)
        self.channels = channels
        self.ndim = ndim
        self.groups = math.gcd(channels, groups)
        width = channels // self.groups
        self.strips = nn.Conv1d(width, width, 1)
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with the positions of each group weighed."""
        gate = self._gate(x, mask).to(x.dtype)
        return (self._split(x) * gate.unsqueeze(2)).flatten(1, 2)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position, the mean over groups, between 0 and 1."""
        return AttentionMap(spatial=self._gate(x, mask).mean(1))

    def _split(self, x: Tensor) -> Tensor:
        """Return x as (N, groups, D, H, W)."""
        return x.reshape(x.shape[0], self.groups, self.channels // self.groups, *x.shape[2:])

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the gate, (N, groups, H, W)."""
        check_call(self, x, mask)
        clean = masking.fill(x, mask, 0.0)
        parts = self._split(clean).flatten(0, 1)  # (N groups, D, H, W)
        real = None if mask is None else mask.repeat_interleave(self.groups, 0)
        u = group_norm(self.norm, parts * self._strip_gate(parts, real), real)
        # As one convolution in groups, which takes a third of the time of one on many small maps.
        kernel, bias = (p.repeat(self.groups, *[1] * (p.ndim - 1)) for p in self.conv.parameters())
        v = functional.conv2d(clean, kernel, bias, padding=1, groups=self.groups)
        v = v.reshape(parts.shape)
        weights_v = self.norm.bias.softmax(0).expand(parts.shape[0], 1, -1)  # (N groups, 1, D)
        weights_u = masking.mean(v, real).softmax(1).unsqueeze(1)
        score = _weigh(weights_v, v) + _weigh(weights_u, u)  # (N groups, 1, H W)
        return torch.sigmoid(score).reshape(x.shape[0], self.groups, *x.shape[2:])

    def _strip_gate(self, parts: Tensor, real: Tensor | None) -> Tensor:
        """Return the product of the gates of rows and of columns, (N groups, D, H, W)."""
        strips = torch.cat([row_means(parts, real), column_means(parts, real)], 2)
        gates = torch.sigmoid(self.strips(strips)).to(parts.dtype)  # (N groups, D, H + W)
        height = parts.shape[2]
        return gates[..., :height].unsqueeze(3) * gates[..., height:].unsqueeze(2)


def _weigh(weights: Tensor, maps: Tensor) -> Tensor:
    """Return the sum over channels of maps (M, D, H, W) by weights (M, 1, D), (M, 1, H W)."""
    return torch.matmul(weights.to(maps.dtype), maps.flatten(2))

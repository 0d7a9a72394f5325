"""Shuffle attention: weigh half of each group's channels by their means, the other half by position.

Paper    Zhang and Yang, "SA-Net: Shuffle Attention for Deep Convolutional Neural Networks", ICASSP 2021,
         arXiv 2102.00240
Formula  each group's channels are halves p, q:   p' = p * sigmoid(w1 mean(p) + b1)
         q' = q * sigmoid(w2 GN(q) + b2);   y = shuffle([p'; q'] of all groups)
         w, b one a channel of a half, the same in all groups; GN norms each channel over space. The
         shuffle puts channels i and C / 2 + i side by side
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     means and variances are over real positions
Cost     3 C / G parameters, (3 C P + 5 C) / 2 multiply-adds, G = gcd(C // 2, groups)
Follows  the paper
Differs  there are gcd(C / 2, groups) groups, so that any even width works; at C <= 128 each half
         of a group may be one channel, in the authors' code at 128 as well
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import AttentionMap, InvalidValue
from zoo_attention import masking
from zoo_attention.checks import check_call, check_construction, check_integer
from zoo_attention.normalizing import moments


class ShuffleAttention(nn.Module):
    """Weigh half of the channels as a whole, the other half by position, and mix both.

    Args:
        channels: Number of channels C, even.
        ndim: Number of spatial dimensions, 1 or 2.
        groups: Number of groups of channels, at least 1; of which the greatest common divisor with
            `channels / 2` is used.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is odd.
    """

    def __init__(self, channels: int, *, ndim: int = 2, groups: int = 64) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "groups", groups)
        if channels % 2:
            raise InvalidValue(
                f"ShuffleAttention: channels is {channels}, but must be even: it has two halves."
            )
        self.channels = channels
        self.ndim = ndim
        self.groups = math.gcd(channels // 2, groups)
        self.width = width = channels // (2 * self.groups)
        self.channel_weight = nn.Parameter(torch.zeros(width))
        self.channel_bias = nn.Parameter(torch.ones(width))
        self.spatial_weight = nn.Parameter(torch.zeros(width))
        self.spatial_bias = nn.Parameter(torch.ones(width))
        self.norm = nn.GroupNorm(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x weighed, its channels shuffled."""
        first, second, channel, spatial = self._read(x, mask)
        weighed = self._join(first * masking.spread(channel, x), second * spatial.to(x.dtype))
        halves = weighed.reshape(x.shape[0], 2, self.channels // 2, *x.shape[2:])
        return halves.transpose(1, 2).flatten(1, 2)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel of x (the mean of those weighed by position) and position."""
        _, _, channel, spatial = self._read(x, mask)
        mean = masking.mean(spatial, mask).to(channel.dtype)  # (N, C / 2)
        return AttentionMap(channel=self._join(channel, mean), spatial=spatial.mean(1))

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first half of each group, (N, C / 2, *spatial), and the second."""
        halves = x.reshape(x.shape[0], self.groups, 2, self.width, *x.shape[2:])
        return halves[:, :, 0].flatten(1, 2), halves[:, :, 1].flatten(1, 2)

    def _join(self, first: Tensor, second: Tensor) -> Tensor:
        """Undo `_halves`."""
        shape = (first.shape[0], self.groups, self.width, *first.shape[2:])
        return torch.cat([first.reshape(shape), second.reshape(shape)], 2).flatten(1, 2)

    def _read(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return both halves, the gate of the first, (N, C / 2), and that of the second."""
        check_call(self, x, mask)
        first, second = self._halves(masking.fill(x, mask, 0.0))
        mean, variance = moments(second, mask)
        channel = masking.mean(first, mask)  # (N, C / 2)
        channel = channel * self._each(self.channel_weight) + self._each(self.channel_bias)
        # w (g (q - mean) / deviation + h) + b, as one product and one sum with q
        scale = (variance + self.norm.eps).rsqrt() * self._each(self.norm.weight)
        shift = (self._each(self.norm.bias) - mean * scale) * self._each(self.spatial_weight)
        shift = shift + self._each(self.spatial_bias)
        scale = scale * self._each(self.spatial_weight)
        axes = (..., *[None] * (x.ndim - 2))
        spatial = torch.addcmul(shift[axes], second, scale[axes]).sigmoid_()
        return first, second, torch.sigmoid(channel), spatial

    def _each(self, values: Tensor) -> Tensor:
        """Return one value a channel of a half group as one a channel of all groups, (C / 2)."""
        return values.repeat(self.groups)

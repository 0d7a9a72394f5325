"""Contextual transformer: keys read with their neighbours say how each position reads its neighbours' values.

Paper    Li et al., "Contextual Transformer Networks for Visual Recognition", TPAMI 2022, arXiv 2107.12292
Formula  S = relu(BN(conv(x))), the static context, in 4 groups;   v = BN(W_v x)
         A = GN(W_2 relu(BN(W_1 [x; S]))), K^ndim weights at each position for each of C / 8 heads
         D = silu(BN(sum over neighbours q of p of A_p[q - p] v_q)), the dynamic context
         y = a * D + (1 - a) * S, a = softmax over both of V relu(BN(W z)), z = mean of D + S over space
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     masked positions are read as zeros; norms and means are over real positions
Cost     k C^2 / 4 + C^2 + (2 C + k H) e + 3 k H + 2 e + 8 C + 3 C d + 3 d parameters, P (k C^2 / 4 + C^2 + (2 C + k
         H) e + k C + 2 C) + 3 C d multiply-adds, k = kernel_size^ndim, e = C // factor, H = C // share, d = max(C
         // 2, 32)
Follows  the paper; where it is silent, the authors' code
Differs  the paper leaves norms, groups and the fusion open: all are of the authors' code (JDAI-CV/CoTNet), where a
         head's channels are C / 8 apart, and no softmax makes weights of A. Norms of the fusion, of one sample,
         use their running statistics. Stride 1
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap, InvalidValue
from zoo_attention import masking
from zoo_attention.branch.choosing import Choice, weighed_sum
from zoo_attention.branch.neighbours import convolve
from zoo_attention.checks import (
    check_batch_norm,
    check_call,
    check_construction,
    check_integer,
    check_odd,
)
from zoo_attention.normalizing import batch_norm, group_norm

_GROUPS = 4


class ContextualTransformer(nn.Module):
    """Add what each position reads of its neighbours to what a convolution does, weighed by channel.

    Args:
        channels: Number of channels C, a multiple of 4 and of `share`.
        ndim: Number of spatial dimensions, 1 or 2.
        kernel_size: The paper's K, side of the neighbourhood, odd.
        share: How many channels share a head, at least 1.
        factor: How many times narrower than the map the layer is that makes the weights, 1 to C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` cannot be divided.
    """

    def __init__(
        self, channels: int, *, ndim: int = 2, kernel_size: int = 3, share: int = 8, factor: int = 2
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_odd(self, "kernel_size", kernel_size)
        check_integer(self, "share", share)
        check_integer(self, "factor", factor)
        if channels % _GROUPS or channels % share:
            raise InvalidValue(
                f"{type(self).__name__}: channels is {channels}, but must be a multiple of {_GROUPS}, "
                f"the groups of its convolution, and of {share}, the share of a head."
            )
        self.channels = channels
        self.ndim = ndim
        self.kernel_size = kernel_size
        self.heads = channels // share
        narrow, weights = max(channels // factor, 1), self.heads * kernel_size**ndim
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        norm = nn.BatchNorm1d if ndim == 1 else nn.BatchNorm2d
        half = kernel_size // 2
        self.key = conv(channels, channels, kernel_size, padding=half, groups=_GROUPS, bias=False)
        self.key_norm = norm(channels)
        self.reduce = conv(2 * channels, narrow, 1, bias=False)
        self.reduce_norm = norm(narrow)
        self.expand = conv(narrow, weights, 1)
        self.expand_norm = nn.GroupNorm(self.heads, weights)
        self.value = conv(channels, channels, 1, bias=False)
        self.value_norm = norm(channels)
        self.norm = norm(channels)
        self.choice = Choice(channels, 2, max(channels // 2, 32), use_bias=True)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the dynamic and the static context, weighed by channel."""
        contexts = self._contexts(x, mask)
        return weighed_sum(contexts, self.choice(contexts, mask)).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of the dynamic context in each channel, between 0 and 1."""
        return AttentionMap(channel=self.choice(self._contexts(x, mask), mask)[:, 0])

    def _contexts(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the dynamic and the static context."""
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        clean = masking.fill(x, mask, 0.0)
        static = functional.relu(batch_norm(self.key_norm, self.key(clean), mask))
        hidden = self.reduce(torch.cat([clean, static], 1))
        hidden = functional.relu(batch_norm(self.reduce_norm, hidden, mask))
        kernels = group_norm(self.expand_norm, self.expand(hidden), mask)
        kernels = torch.unflatten(kernels, 1, (self.heads, -1))  # (N, heads, K^ndim, ...)
        value = batch_norm(self.value_norm, self.value(clean), mask)
        value = masking.fill(value, mask, 0.0)
        value = torch.unflatten(value, 1, (-1, self.heads))  # (N, share, heads, ...)
        read = convolve(value.transpose(1, 2), kernels, self.kernel_size)  # (N, heads, share, ...)
        dynamic = batch_norm(self.norm, read.transpose(1, 2).flatten(1, 2), mask)
        return functional.silu(dynamic), static

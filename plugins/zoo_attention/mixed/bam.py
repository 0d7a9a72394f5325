"""Bottleneck attention: weigh each value by its channel's mean and by its neighbourhood, together.

Paper    Park et al., "BAM: Bottleneck Attention Module", BMVC 2018, arXiv 1807.06514
Formula  c = BN(W1 relu(W0 z + b0) + b1), z = mean of x over space
         s = BN(f3(f2(f1(f0(x))))), f0 and f3 1x1, f1 and f2 3x3 of dilation d, relu after f0, f1 and f2
         y = x + x * sigmoid(c + s)
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; kernels of 3 for ndim 1
Mask     z is the mean over real positions; masked positions are zeros to f1 and f2; the norms learn from
         real positions and from samples that have some
Cost     3 C h + 2 k h^2 + 3 C + 5 h + 3 parameters, 2 C h + P h (C + 2 k h + 1) + C P multiply-adds, h = max(C //
         reduction, min_hidden), k = 3^ndim; `use_inner_norms=True`: 8 h - 2 C - 2 more parameters;
         `combine='multiply'`: C P more multiply-adds
Follows  the paper; where it is silent, the authors' code
Differs  hidden width is at least 8 (`min_hidden=1` is the paper's). The formulas of the paper name no relu;
         these are where the authors' code (Jongchan/attention-module) has them. That code multiplies the
         branches, c * s (`combine="multiply"`), and has a norm after each hidden layer, not at the end
         (`use_inner_norms=True`). The norm over one sample's means uses its running statistics
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import (
    check_batch_norm,
    check_bool,
    check_call,
    check_choice,
    check_construction,
    check_integer,
)
from zoo_attention.normalizing import batch_norm


class BottleneckAttention(nn.Module):
    """Weigh each value of a map by its channel and its place.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower the hidden layers are than the map, at least 1.
        min_hidden: Width that the hidden layers have at least, from 1.
        dilation: Distance between the taps of the two wide convolutions, at least 1.
        combine: `"add"` as the paper, `"multiply"` as the authors' code.
        use_inner_norms: Whether batch norms follow the hidden layers instead of the last ones.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        reduction: int = 16,
        min_hidden: int = 8,
        dilation: int = 4,
        combine: Literal["add", "multiply"] = "add",
        use_inner_norms: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_integer(self, "min_hidden", min_hidden)
        check_integer(self, "dilation", dilation)
        check_choice(self, "combine", combine, ("add", "multiply"))
        check_bool(self, "use_inner_norms", use_inner_norms)
        self.channels = channels
        self.ndim = ndim
        self.combine = combine
        self.use_inner_norms = use_inner_norms
        width = max(channels // reduction, min_hidden)
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        norm = nn.BatchNorm1d if ndim == 1 else nn.BatchNorm2d
        self.dense = nn.ModuleList([nn.Linear(channels, width), nn.Linear(width, channels)])
        wide = [conv(width, width, 3, padding=dilation, dilation=dilation) for _ in range(2)]
        self.convs = nn.ModuleList([conv(channels, width, 1), *wide, conv(width, 1, 1)])
        self.dense_norms = nn.ModuleList([nn.BatchNorm1d(width if use_inner_norms else channels)])
        self.conv_norms = nn.ModuleList(
            [norm(width) for _ in range(3)] if use_inner_norms else [norm(1)]
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with each of its values weighed, between once and twice."""
        return torch.addcmul(x, x, self._gate(x, mask).to(x.dtype))

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the means of the gate, between 0 and 1, over real positions and over channels."""
        gate = self._gate(x, mask)
        return AttentionMap(channel=masking.mean(gate, mask), spatial=gate.mean(1))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        some = None if mask is None else mask.flatten(1).any(1)  # (N)
        c = self._branch(masking.mean(x, mask), some, self.dense, self.dense_norms)  # (N, C)
        s = self._branch(masking.fill(x, mask, 0.0), mask, self.convs, self.conv_norms)
        c = masking.spread(c, x).to(s.dtype)
        return torch.sigmoid(c + s if self.combine == "add" else c * s)  # (N, C, *spatial)

    def _branch(
        self, h: Tensor, mask: Tensor | None, layers: nn.ModuleList, norms: nn.ModuleList
    ) -> Tensor:
        for i, layer in enumerate(layers):
            h = layer(h)
            if i == len(layers) - 1:
                return h if self.use_inner_norms else batch_norm(norms[0], h, mask)
            if self.use_inner_norms:
                h = batch_norm(norms[i], h, mask)
            h = masking.fill(functional.relu(h), mask, 0.0)
        return h

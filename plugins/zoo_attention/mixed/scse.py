"""Concurrent spatial and channel squeeze-and-excitation: weigh channels, and positions, and add both.

Paper    Roy et al., "Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional
         Networks", MICCAI 2018, arXiv 1803.02579
Formula  a = sigmoid(W1 relu(W2 z)), z = mean of x over space;   b = sigmoid(w . x) at each position
         y = a * x + b * x
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     z is the mean over real positions; b is of each position alone
Cost     2 C h + C parameters, 2 C h + 2 C P multiply-adds, h = max(C // reduction, 1); `use_bias=True`: C + h + 1
         more parameters
Follows  the paper
Differs  no biases, as in the formulas; the authors' code (ai-med/squeeze_and_excitation) has them
         (`use_bias=True`), and takes the larger of a * x and b * x (`combine="max"`)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import eager, masking
from zoo_attention.checks import (
    check_bool,
    check_call,
    check_choice,
    check_construction,
    check_integer,
)


class ConcurrentSqueezeExcite(nn.Module):
    """Weigh the channels of a map and its positions, side by side.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower the hidden layer is than the map, at least 1.
        combine: `"add"` as the paper, `"max"` as the authors' code.
        use_bias: Whether the layers have biases.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        reduction: int = 2,
        combine: Literal["add", "max"] = "add",
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_choice(self, "combine", combine, ("add", "max"))
        check_bool(self, "use_bias", use_bias)
        self.channels = channels
        self.ndim = ndim
        self.combine = combine
        width = max(channels // reduction, 1)
        self.reduce = nn.Linear(channels, width, bias=use_bias)
        self.expand = nn.Linear(width, channels, bias=use_bias)
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        self.conv = conv(channels, 1, 1, bias=use_bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x weighed by channel and by position: the sum of both, or the larger."""
        channel, spatial = (gate.to(x.dtype) for gate in self._gates(x, mask))
        if self.combine == "max":
            return torch.maximum(x * channel, x * spatial)
        gate = channel + spatial  # (N, C, *spatial)
        return eager.multiply(x, gate, into=gate)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel and of each position, between 0 and 1."""
        channel, spatial = self._gates(x, mask)
        return AttentionMap(channel=channel.flatten(1), spatial=spatial.squeeze(1))

    def _gates(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        check_call(self, x, mask)
        logits = self.expand(functional.relu(self.reduce(masking.mean(x, mask))))  # (N, C)
        spatial = torch.sigmoid(self.conv(masking.fill(x, mask, 0.0)))  # (N, 1, *spatial)
        return masking.spread(torch.sigmoid(logits), x), spatial

"""Squeeze-and-excitation: weigh channels by what the whole map says.

Paper    Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, arXiv 1709.01507
Formula  z = mean of x over space;   y = x * sigmoid(W2 relu(W1 z))
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     z is the mean over real positions
Cost     2 C h parameters, 2 C h + C P multiply-adds, h = max(C // reduction, min_hidden); `use_bias=True`: C + h
         more parameters
Follows  the paper
Differs  hidden width is at least 8: with fewer, narrow CIFAR nets keep one unit. `min_hidden=1` is the
         paper's. No biases, as in the formula; `use_bias=True` is what many networks were released with
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking, weighing
from zoo_attention.checks import check_bool, check_call, check_construction, check_integer


class SqueezeExcite(nn.Module):
    """Weigh the channels of a map by a small network over their means.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower the hidden layer is than the map, at least 1.
        min_hidden: Width that the hidden layer has at least, from 1.
        use_bias: Whether both layers have a bias.

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
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_integer(self, "min_hidden", min_hidden)
        check_bool(self, "use_bias", use_bias)
        self.channels = channels
        self.ndim = ndim
        width = max(channels // reduction, min_hidden)
        self.reduce = nn.Linear(channels, width, bias=use_bias)
        self.expand = nn.Linear(width, channels, bias=use_bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels weighed."""
        check_call(self, x, mask)
        return weighing.weigh_by_means(x, mask, self._gate)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel, between 0 and 1."""
        check_call(self, x, mask)
        return AttentionMap(channel=self._gate(masking.mean(x, mask)))

    def _gate(self, z: Tensor) -> Tensor:
        """Return the gate of the means, both (N, C)."""
        return torch.sigmoid(self.expand(functional.relu(self.reduce(z))))

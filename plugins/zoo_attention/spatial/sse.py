"""Spatial squeeze-and-excitation: weigh each position by a sum of its channels, scSE's spatial half.

Paper    Roy et al., "Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks",
         MICCAI 2018, arXiv 1803.02579
Formula  y = x * sigmoid(w . x), w . x the product over channels at each position
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     each position is weighed by itself alone
Cost     C parameters, 2 C P multiply-adds; `use_bias=True`: 1 more parameter
Follows  the paper
Differs  no bias, as in the formula; `use_bias=True` is the authors' code
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import check_bool, check_call, check_construction


class SpatialSqueezeExcite(nn.Module):
    """Weigh the positions of a map by one convolution of their channels.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        use_bias: Whether the convolution has a bias.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, use_bias: bool = False) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_bool(self, "use_bias", use_bias)
        self.channels = channels
        self.ndim = ndim
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        self.conv = conv(channels, 1, 1, bias=use_bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its positions weighed."""
        check_call(self, x, mask)
        x = masking.fill(x, mask, 0.0)  # NaN in padding would reach the gradient of the weights
        return x * torch.sigmoid(self.conv(x)).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position, between 0 and 1."""
        check_call(self, x, mask)
        return AttentionMap(spatial=torch.sigmoid(self.conv(x)).squeeze(1))

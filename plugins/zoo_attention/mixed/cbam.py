"""Convolutional block attention: weigh channels, then positions, by means and maxima.

Paper    Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018, arXiv 1807.06521
Formula  m(z) = W1 relu(W0 z)
         u = x * sigmoid(m(mean of x over space) + m(maximum of x over space))
         y = u * sigmoid(conv7x7([mean of u over channels; maximum of u over channels]))
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; conv7 for ndim 1
Mask     mean and maximum over real positions; masked positions are zeros to the convolution
Cost     2 C h + 2 k parameters, 3 C h + 2 k P + 2 C P multiply-adds, h = max(C // reduction, min_hidden), k =
         kernel_size^ndim; `use_bias=True`: C + h more parameters; `use_batch_norm=True`: 2 more parameters
Follows  the paper
Differs  hidden width is at least 8: with fewer, narrow CIFAR nets keep one unit. `min_hidden=1` is the
         paper's. No biases and no norm, as in the formulas. The authors' code has biases in m
         (`use_bias=True`), and a batch norm of momentum 0.01 after the convolution (`use_batch_norm=True`),
         whose weight its networks set to 0 at the start: that gate is 1/2. Here it is 1
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import eager, masking, weighing
from zoo_attention.checks import (
    check_bool,
    check_call,
    check_construction,
    check_integer,
    check_odd,
)
from zoo_attention.spatial.spatial_gate import make_layers, spatial_weights


class ConvBlockAttention(nn.Module):
    """Weigh the channels of a map, then its positions.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower the hidden layer is than the map, at least 1.
        min_hidden: Width that the hidden layer has at least, from 1.
        kernel_size: Side of the convolution over positions, odd.
        use_bias: Whether the layers over channels have a bias.
        use_batch_norm: Whether a batch norm follows the convolution. In training it needs more than
            one position in the batch.

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
        kernel_size: int = 7,
        use_bias: bool = False,
        use_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_integer(self, "min_hidden", min_hidden)
        check_odd(self, "kernel_size", kernel_size)
        check_bool(self, "use_bias", use_bias)
        check_bool(self, "use_batch_norm", use_batch_norm)
        self.channels = channels
        self.ndim = ndim
        width = max(channels // reduction, min_hidden)
        self.reduce = nn.Linear(channels, width, bias=use_bias)
        self.expand = nn.Linear(width, channels, bias=use_bias)
        self.conv, self.norm = make_layers(ndim, kernel_size, use_batch_norm=use_batch_norm)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels and positions weighed."""
        weighed = weighing.weigh(x, self._channel_gate(x, mask))
        gate = spatial_weights(self, weighed, mask).to(x.dtype)
        return eager.multiply(weighed, gate, into=weighed)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel and of each position, between 0 and 1."""
        channel = self._channel_gate(x, mask)
        spatial = spatial_weights(self, x * masking.spread(channel, x), mask)
        return AttentionMap(channel=channel, spatial=spatial.squeeze(1))

    def _channel_gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        hidden = functional.relu(self.reduce(masking.mean(x, mask)))
        hidden = hidden + functional.relu(self.reduce(masking.amax(x, mask)))  # (N, h)
        logits = self.expand(hidden)  # (N, C), as W1 a + W1 b = W1 (a + b), less one bias
        return torch.sigmoid(logits if self.expand.bias is None else logits + self.expand.bias)

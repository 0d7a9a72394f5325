"""Global attention mechanism: weigh each value by its position's channels, then by its surroundings.

Paper    Liu, Shao and Hoffmann, "Global Attention Mechanism: Retain Information to Enhance
         Channel-Spatial Interactions", arXiv 2112.05561
Formula  u = x * sigmoid(W1 relu(W0 x + b0) + b1), at each position, without pooling
         y = u * sigmoid(conv7x7(relu(conv7x7(u)))), to C / reduction channels and back
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; kernels of 7 for ndim 1
Mask     masked positions are zeros to the convolutions
Cost     2 C h (1 + k) + 2 C + 2 h parameters, 2 C h (1 + k) P + 2 C P multiply-adds, h = max(C // reduction, 1), k
         = kernel_size^ndim; `use_batch_norm=True`: 2 C + 2 h more parameters
Follows  the paper, as notes on it have it
Differs  heavy: 100 times a layer of C to C / reduction. The paper's text, as notes on it give it, has a sigmoid after
         the first gate and no norms; code in circulation has a batch norm after each convolution
         (`use_batch_norm=True`), or leaves that sigmoid out (`use_channel_sigmoid=False`). No repository of the
         authors was found. The grouped and shuffled convolutions of the paper's ResNet-50 are not here
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import eager, masking
from zoo_attention.checks import (
    check_batch_norm,
    check_bool,
    check_call,
    check_construction,
    check_integer,
    check_odd,
)
from zoo_attention.normalizing import batch_norm


class GlobalAttentionMechanism(nn.Module):
    """Weigh each value of a map by the channels of its position, then by wide convolutions.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower the hidden layers are than the map, at least 1.
        kernel_size: Side of the two convolutions, odd.
        use_channel_sigmoid: Whether the first gate is squashed; without, it has no bounds.
        use_batch_norm: Whether a batch norm follows each convolution. In training it needs more than
            one position in the batch.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        reduction: int = 4,
        kernel_size: int = 7,
        use_channel_sigmoid: bool = True,
        use_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_odd(self, "kernel_size", kernel_size)
        check_bool(self, "use_channel_sigmoid", use_channel_sigmoid)
        check_bool(self, "use_batch_norm", use_batch_norm)
        self.channels = channels
        self.ndim = ndim
        self.use_channel_sigmoid = use_channel_sigmoid
        width, middle = max(channels // reduction, 1), kernel_size // 2
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        norm = nn.BatchNorm1d if ndim == 1 else nn.BatchNorm2d
        self.reduce = conv(channels, width, 1)
        self.expand = conv(width, channels, 1)
        self.reduce_wide = conv(channels, width, kernel_size, padding=middle)
        self.expand_wide = conv(width, channels, kernel_size, padding=middle)
        self.norms = nn.ModuleList([norm(width), norm(channels)] if use_batch_norm else [])

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x weighed twice."""
        weighed = x * self._channel_gate(x, mask).to(x.dtype)
        gate = self._spatial_gate(weighed, mask).to(x.dtype)
        return eager.multiply(weighed, gate, into=weighed)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the means of both gates' product over real positions and over channels."""
        channel = self._channel_gate(x, mask)
        gate = channel * self._spatial_gate(x * channel.to(x.dtype), mask)
        return AttentionMap(channel=masking.mean(gate, mask), spatial=gate.mean(1))

    def _channel_gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        if len(self.norms):
            check_batch_norm(self, x, mask)
        logits: Tensor = self.expand(functional.relu(self.reduce(masking.fill(x, mask, 0.0))))
        return torch.sigmoid(logits) if self.use_channel_sigmoid else logits

    def _spatial_gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        hidden = self.reduce_wide(masking.fill(x, mask, 0.0))  # (N, h, *spatial)
        if len(self.norms):
            hidden = batch_norm(self.norms[0], hidden, mask)
        logits = self.expand_wide(masking.fill(functional.relu(hidden), mask, 0.0))
        if len(self.norms):
            logits = batch_norm(self.norms[1], logits, mask)
        return torch.sigmoid(logits)

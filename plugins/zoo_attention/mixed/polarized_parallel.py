"""Polarized self-attention, parallel layout: weigh channels and positions side by side, and add both.

Paper    Liu et al., "Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
         arXiv 2107.00782
Formula  a = sigmoid(Wz (V x softmax(q x))), the softmax over positions;   q 1 x C, V C/2 x C, Wz C x C/2
         b = sigmoid(softmax(Q mean of x) . U x), the softmax over channels;   Q and U C/2 x C
         y = a * x + b * x
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     softmaxes and the mean are over real positions
Cost     2 C^2 + C parameters, 2 C^2 + 4 C P multiply-adds; `expansion='norm'`: 2 C more parameters
Follows  the paper
Differs  the default is the paper's equations. Its figure, as others read it, has a layer norm after Wz
         (`expansion="norm"`). The authors' code (DeLightCMU/PSA) takes the softmax of b after the product,
         over positions (`softmax_of="product"`), and starts Q, U, q and V from a Kaiming normal
         distribution, here as torch's layers do. For the "value" softmax and the "bottleneck" see
         `polarized_sequential`, where that code has them
"""

from __future__ import annotations

from torch import Tensor

from zoo import AttentionMap
from zoo_attention import eager, masking
from zoo_attention.checks import check_call
from zoo_attention.mixed.polarizing import Polarized


class ParallelPolarizedAttention(Polarized):
    """Weigh the channels of a map and its positions, side by side.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        expansion: What leads back to C channels: `"linear"`, `"norm"` or `"bottleneck"`.
        softmax_of: What the softmax of the gate over positions is taken of: `"query"`, `"product"` or
            `"value"`.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the sum of x weighed by channel and x weighed by position."""
        check_call(self, x, mask)
        channel = masking.spread(self.channel_gate(x, mask), x)
        gate: Tensor = channel + self.spatial_gate(x, mask).to(x.dtype)  # (N, C, *spatial)
        return eager.multiply(x, gate, into=gate)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel and of each position, between 0 and 1."""
        check_call(self, x, mask)
        spatial = self.spatial_gate(x, mask).squeeze(1)
        return AttentionMap(channel=self.channel_gate(x, mask), spatial=spatial)

"""Polarized self-attention, sequential layout: weigh channels, then positions.

Paper    Liu et al., "Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
         arXiv 2107.00782
Formula  a = sigmoid(Wz (V x softmax(q x))), the softmax over positions;   q 1 x C, V C/2 x C, Wz C x C/2
         u = a * x
         b = sigmoid(softmax(Q mean of u) . U u), the softmax over channels;   Q and U C/2 x C
         y = b * u
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     softmaxes and the mean are over real positions
Cost     2 C^2 + C parameters, 2 C^2 + 5 C P multiply-adds; `expansion='norm'`: 2 C more parameters
Follows  the paper
Differs  the default is the paper's equations. Its figure, as others read it, has a layer norm after Wz
         (`expansion="norm"`). The authors' code (DeLightCMU/PSA) has two layers there, C/2 to C/8 (here at
         least 4) to C, with a layer norm and a relu between them (`expansion="bottleneck"`), takes the
         softmax of U u over positions in place of that of the query (`softmax_of="value"`), and starts Q, U,
         q and V from a Kaiming normal distribution, here as torch's layers do
"""

from __future__ import annotations

from torch import Tensor

from zoo import AttentionMap
from zoo_attention import eager, masking, weighing
from zoo_attention.checks import check_call
from zoo_attention.mixed.polarizing import Polarized


class SequentialPolarizedAttention(Polarized):
    """Weigh the channels of a map, then its positions.

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
        """Return x with its channels and then its positions weighed."""
        check_call(self, x, mask)
        weighed = weighing.weigh(x, self.channel_gate(x, mask))
        gate: Tensor = self.spatial_gate(weighed, mask).to(x.dtype)  # (N, 1, *spatial)
        return eager.multiply(weighed, gate, into=weighed)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel and of each position, between 0 and 1."""
        check_call(self, x, mask)
        channel = self.channel_gate(x, mask)
        spatial = self.spatial_gate(x * masking.spread(channel, x), mask).squeeze(1)
        return AttentionMap(channel=channel, spatial=spatial)

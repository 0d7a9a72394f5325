"""Gaussian context transformer: the farther a channel's mean is from the others', the less it counts.

Paper    Ruan et al., "Gaussian Context Transformer", CVPR 2021
Formula  z = mean of x over space;   u = (z - mean of z) / (standard deviation of z + eps), over the channels
         y = x * exp(-u^2 / (2 c^2)), with c = 2, or learnt: c = 3 sigmoid(theta) + 1, theta 0 at the start
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     z is the mean over real positions
Cost     no parameters, C P + C multiply-adds; `is_learnable=True`: 1 parameter
Follows  the paper, as a summary of it has it
Differs  u divides by sqrt(variance + eps^2), whose gradient is finite where all channels have one mean. Checked
         against a summary with the paper's equations (a public reading note, "GCT"); the 3 and 1 of its
         learnt width (GCT-B1) are those of two independent public versions. Two others multiply by c / 2
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking, weighing
from zoo_attention.checks import check_bool, check_call, check_construction, check_positive

_EPS = 1e-5


class GaussianContext(nn.Module):
    """Weigh the channels of a map by a Gaussian of their normalised means.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        width: Standard deviation of the Gaussian, above 0; unused if the width is learnt.
        is_learnable: Whether the width is learnt, between 1 and 4.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self, channels: int, *, ndim: int = 2, width: float = 2.0, is_learnable: bool = False
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_positive(self, "width", width)
        check_bool(self, "is_learnable", is_learnable)
        self.channels = channels
        self.ndim = ndim
        self.width = width
        self.theta = nn.Parameter(torch.zeros(())) if is_learnable else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels weighed."""
        check_call(self, x, mask)
        return weighing.weigh_by_means(x, mask, self._gate, is_wide=True)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel, from 0 to 1."""
        check_call(self, x, mask)
        return AttentionMap(channel=self._gate(masking.mean(x, mask, is_wide=True)))

    def _gate(self, z: Tensor) -> Tensor:
        """Return the gate of the means, both (N, C): of wide ones, as it is made of their differences."""
        deviation = z - z.mean(1, keepdim=True)
        variance = deviation.square().mean(1, keepdim=True)
        u = deviation * torch.rsqrt(variance + _EPS**2)
        width = self.width if self.theta is None else 3 * torch.sigmoid(self.theta) + 1
        return torch.exp(-0.5 * (u / width).square())

"""Log-sum-exp pooling: between the mean (r = 0) and the maximum (r = infinity), r learned.

Paper    Pinheiro and Collobert, "From Image-level to Pixel-level Labeling with Convolutional Networks",
         CVPR 2015, arXiv 1411.6228
Formula  y = log(mean over space of exp(r x)) / r
Shapes   x (N, C, *spatial) -> y (N, C), same dtype and device
Mask     over real positions; a sample without any gives zeros
Cost     1 parameter, C P multiply-adds
Follows  the paper; r is learned as in timm
Differs  log r is learned instead of r, so that r stays positive: at r = 0 the formula is 0 / 0. r starts at 10
         and is learned, as in timm; the paper holds it fixed. One r for all channels. The maximum is
         taken out of the logarithm, so that nothing overflows
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction, check_positive


class LogSumExpPool(nn.Module):
    """Pool a map to a smooth maximum over positions.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        r: Sharpness to start from, above 0: the larger, the closer to the maximum.

    Attributes:
        out_features: Width of the vector, C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, r: float = 10.0) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_positive(self, "r", r)
        self.channels = channels
        self.ndim = ndim
        self.out_features = channels
        self.log_r = nn.Parameter(torch.tensor([math.log(r)]))

    @property
    def r(self) -> Tensor:
        """The sharpness, (1,)."""
        return self.log_r.exp()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        wide = masking.widen(x)
        largest = masking.amax(wide, mask).detach()  # (N, C)
        # Filled before the product with r, too: 0 times infinity would be r's gradient.
        below = masking.fill(wide - largest[(..., *[None] * self.ndim)], mask, 0.0)
        powers = masking.fill((self.r * below).exp(), mask, 0.0)
        means = powers.sum(masking.axes(x)) / masking.count(x, mask)  # (N, C), at least 1 / P
        if mask is not None:
            means = torch.where(masking.has_real(mask).unsqueeze(1), means, 1.0)
        return (largest + means.log() / self.r).to(x.dtype)

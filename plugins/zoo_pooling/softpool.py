"""SoftPool over the whole map: each value counts by its own exponential.

Paper    Stergiou et al., "Refining activation downsampling with SoftPool", ICCV 2021, arXiv 2101.00440
Formula  y = sum over space of w x, with w = softmax of x over space
Shapes   x (N, C, *spatial) -> y (N, C), same dtype and device
Mask     over real positions; a sample without any gives zeros
Cost     no parameters, C P multiply-adds
Follows  the paper
Differs  one region, the whole map. The largest value is taken out of the exponentials, so that none overflows,
         and the output is never cut: a negative map stays negative. The gradient is that of the formula; the
         authors' kernels leave out how the weights change
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction


class SoftPool(nn.Module):
    """Pool a map to its mean over positions, weighted by the exponential of each value.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.

    Attributes:
        out_features: Width of the vector, C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        self.channels = channels
        self.ndim = ndim
        self.out_features = channels

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        weights = masking.softmax(x, mask)
        return (weights * masking.fill(x, mask, 0.0)).sum(masking.axes(x)).to(x.dtype)

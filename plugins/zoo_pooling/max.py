"""Maximum pooling: the maximum over positions.

Formula  y = maximum of x over space, for a sequence the max over time of Kim, arXiv 1408.5882
Shapes   x (N, C, *spatial) -> y (N, C), same dtype and device
Mask     over real positions
Cost     no parameters, no multiply-adds
Follows  common practice
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction


class MaxPool(nn.Module):
    """Pool a map to its maximum over positions.

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
        return masking.amax(x, mask)

"""Average and maximum pooling, one after the other.

Formula  y = [mean of x over space; maximum of x over space]
Shapes   x (N, C, *spatial) -> y (N, 2 C), same dtype and device
Mask     over real positions
Cost     no parameters, no multiply-adds
Follows  common practice
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction


class ConcatAverageMaxPool(nn.Module):
    """Pool a map to its mean and its maximum over positions.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.

    Attributes:
        out_features: Width of the vector, 2 C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        self.channels = channels
        self.ndim = ndim
        self.out_features = 2 * channels

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        return torch.cat([masking.mean(x, mask), masking.amax(x, mask)], 1)

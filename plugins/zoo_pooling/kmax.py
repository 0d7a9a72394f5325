"""K-max pooling: the k largest values of each channel, in the order in which they stand.

Paper    Kalchbrenner et al., "A Convolutional Neural Network for Modelling Sentences", ACL 2014,
         arXiv 1404.2188
Formula  y[c] = the k largest of x[c] over space, those that come first standing first
Shapes   x (N, C, *spatial) -> y (N, C k), same dtype and device
Mask     among real positions; where there are fewer than k, zeros follow
Cost     no parameters, no multiply-adds. k of P values are selected for each channel
Follows  the paper
Differs  k does not depend on the length (the paper's last layer), and is 4 as in a public version of its network
         (FredericGodin/DynamicCNN). A map is read column by column. With k = 1 it is the head `max`, the max over
         time of Kim, arXiv 1408.5882
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction, check_integer


class KMaxPool(nn.Module):
    """Pool a map to the largest values of each channel.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        k: How many values of each channel are kept, at least 1.

    Attributes:
        out_features: Width of the vector, C k.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, k: int = 4) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "k", k)
        self.channels = channels
        self.ndim = ndim
        self.k = k
        self.out_features = channels * k

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample: channel by channel, k values each."""
        check_call(self, x, mask)
        filled = masking.tokens(masking.fill(x, mask, -math.inf)).transpose(1, 2)  # (N, C, P)
        spare = filled.new_full((1, 1, 1), -math.inf).expand(*filled.shape[:2], self.k)
        values, places = torch.cat([filled, spare], 2).topk(self.k, 2, sorted=False)  # (N, C, k)
        missing = values == -math.inf
        order = torch.where(missing, filled.shape[2] + self.k, places).argsort(2)
        values = torch.where(missing, 0.0, values).gather(2, order)
        return values.flatten(1)

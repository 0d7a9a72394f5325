"""Statistics pooling: the mean and the standard deviation over positions.

Paper    Snyder et al., "Deep Neural Network Embeddings for Text-Independent Speaker Verification",
         Interspeech 2017 (x-vectors)
Formula  m = mean of x over space;   y = [m; sqrt(mean of (x - m)^2 over space + eps)]
Shapes   x (N, C, *spatial) -> y (N, 2 C), same dtype and device
Mask     over real positions; a sample without any gives zeros
Cost     no parameters, no multiply-adds
Follows  the paper
Differs  eps, inside the root, keeps the gradient of a constant map finite; the paper does not name one. The
         variance is that of the positions at hand, divided by P, not by P - 1
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction, check_positive


class StatisticsPool(nn.Module):
    """Pool a map to its mean and standard deviation over positions.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        eps: What is added to the variance, above 0.

    Attributes:
        out_features: Width of the vector, 2 C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, eps: float = 1e-5) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_positive(self, "eps", eps)
        self.channels = channels
        self.ndim = ndim
        self.eps = eps
        self.out_features = 2 * channels

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample: the means, then the deviations."""
        check_call(self, x, mask)
        wide = masking.widen(x)
        mean = masking.mean(wide, mask)  # (N, C)
        deviation = wide - mean[(..., *[None] * self.ndim)]
        # Filled before the square: the square of infinity has no gradient to throw away.
        variance = masking.mean(masking.fill(deviation, mask, 0.0).square(), mask)
        pooled = torch.cat([mean, (variance + self.eps).sqrt()], 1)
        return masking.zero_empty(pooled, mask).to(x.dtype)

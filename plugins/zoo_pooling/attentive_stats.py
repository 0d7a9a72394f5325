"""Attentive statistics pooling: mean and standard deviation, each channel weighing positions by itself.

Paper    Desplanques et al., "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation in TDNN
         Based Speaker Verification", Interspeech 2020, arXiv 2005.07143, section 3.1
Formula  a = softmax over positions of V tanh(W [x; m; s] + b) + k, with m, s mean and deviation of x over space
         u = sum of a x;   y = [u; sqrt(sum of a (x - u)^2 + eps)]
Shapes   x (N, C, *spatial) -> y (N, 2 C), same dtype and device
Mask     masked positions have no weight; a sample without any real one gives zeros
Cost     4 C D + D parameters, P (2 C D + 2 C) + 2 C D multiply-adds, D = hidden_channels; `use_context=False`: 2 C
         D fewer parameters, 2 C D fewer multiply-adds
Follows  the paper; where it is silent, speechbrain
Differs  k, which the softmax takes out, is left out, and eps keeps gradients finite. speechbrain, from which
         tanh is, has ReLU and batch norm before it, too. Without [m; s] (`use_context`) it is the
         attentive statistics of Okabe et al., arXiv 1803.10963, with weights for each channel
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import (
    check_bool,
    check_call,
    check_construction,
    check_integer,
    check_positive,
)


class AttentiveStatisticsPool(nn.Module):
    """Pool a map to weighted means and standard deviations over positions.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        hidden_channels: Width D of the network that weighs, at least 1.
        use_context: Whether that network sees the mean and deviation of the whole map.
        eps: What is added to a variance, above 0.

    Attributes:
        out_features: Width of the vector, 2 C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        hidden_channels: int = 128,
        use_context: bool = True,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "hidden_channels", hidden_channels)
        check_bool(self, "use_context", use_context)
        check_positive(self, "eps", eps)
        self.channels = channels
        self.ndim = ndim
        self.eps = eps
        self.out_features = 2 * channels
        self.project = nn.Linear(channels, hidden_channels)
        # W splits into the part for x and the part for [m; s], which is the same everywhere.
        self.context = nn.Linear(2 * channels, hidden_channels, bias=False) if use_context else None
        self.score = nn.Linear(hidden_channels, channels, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample: the means, then the deviations."""
        check_call(self, x, mask)
        real = masking.fill(x, mask, 0.0)
        hidden = self.project(real.movedim(1, -1))  # (N, *spatial, D)
        if self.context is not None:
            number = masking.count(x, mask).to(masking.widen(x).dtype)
            even = 1 / number[(..., *[None] * self.ndim)]  # (N, 1, ...) or (1, ...)
            context = self.context(self._statistics(real, even, mask).to(x.dtype))  # (N, D)
            hidden = hidden + context[(slice(None), *[None] * self.ndim)]
        scores = self.score(torch.tanh(hidden)).movedim(-1, 1)  # (N, C, *spatial)
        return self._statistics(real, masking.softmax(scores, mask), mask).to(x.dtype)

    def _statistics(self, real: Tensor, weights: Tensor, mask: Tensor | None) -> Tensor:
        """Return means and deviations under weights that sum to 1 over real positions, (N, 2 C)."""
        wide = masking.widen(real)
        mean = (weights * wide).sum(masking.axes(real))  # (N, C)
        deviation = masking.fill(wide - mean[(..., *[None] * self.ndim)], mask, 0.0)
        variance = (weights * deviation.square()).sum(masking.axes(real))
        return masking.zero_empty(torch.cat([mean, (variance + self.eps).sqrt()], 1), mask)

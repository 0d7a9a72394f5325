"""Generalised-mean pooling: between the mean (p = 1) and the maximum (p = infinity), p learned.

Paper    Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019,
         arXiv 1711.02512
Formula  y = (mean over space of max(x, eps)^p)^(1 / p)
Shapes   x (N, C, *spatial) -> y (N, C), same dtype and device
Mask     over real positions; a sample without any gives zeros
Cost     1 parameter, C P multiply-adds
Follows  the paper
Differs  log p is learned instead of p, so that p stays positive. Powers are taken as exponentials, from
         the largest value down, so that x^p does not overflow. One p for all channels, as in the authors'
         code; the paper also allows one for each
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction, check_positive


class GeneralizedMeanPool(nn.Module):
    """Pool a map to its generalised mean over positions.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        p: Exponent to start from, above 0.
        eps: Values of x below it are raised to it, above 0.

    Attributes:
        out_features: Width of the vector, C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_positive(self, "p", p)
        check_positive(self, "eps", eps)
        self.channels = channels
        self.ndim = ndim
        self.eps = eps
        self.out_features = channels
        self.log_p = nn.Parameter(torch.tensor([math.log(p)]))

    @property
    def p(self) -> Tensor:
        """The exponent, (1,)."""
        return self.log_p.exp()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        wide = masking.fill(masking.widen(x), mask, 1.0)
        real = masking.or_all(mask)
        p = self.p
        # Filled after the product with p as well: 0 times an infinite logarithm would be p's gradient.
        logs = masking.fill(p * wide.clamp(min=self.eps).log(), real, -math.inf)
        powers = logs.logsumexp(masking.axes(x)) - masking.count(x, real).to(wide.dtype).log()
        return masking.zero_empty((powers / p).exp(), mask).to(x.dtype)

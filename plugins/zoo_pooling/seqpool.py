"""Sequence pooling: one linear layer says how much each position counts.

Paper    Hassani et al., "Escaping the Big Data Paradigm with Compact Transformers", arXiv 2104.05704
Formula  y = sum over positions k of a_k x_k, with a = softmax over positions of w^T x_k
Shapes   x (N, C, *spatial) -> y (N, C), same dtype and device
Mask     masked positions have no weight; a sample without any real one gives zeros
Cost     C parameters, 2 C P multiply-adds
Follows  the paper
Differs  the layer has no bias: the softmax takes it out. The norm before it is the backbone's
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction


class SequencePool(nn.Module):
    """Pool a map to its mean over positions, weighted by a linear layer.

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
        self.score = nn.Linear(channels, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        real = masking.fill(x, mask, 0.0)
        scores = self.score(real.movedim(1, -1)).movedim(-1, 1)  # (N, 1, *spatial)
        return (masking.softmax(scores, mask) * real).sum(masking.axes(x)).to(x.dtype)

"""SimPool: the mean of the map asks, the positions answer, in one step of attention.

Paper    Psomas et al., "Keep It SimPool: Who Said Supervised Transformers Suffer from Attention Deficit?",
         ICCV 2023, arXiv 2309.06891
Formula  u = mean of x over space, V = LN(x);   a = softmax over positions of (W_k LN(x)) . (W_q u) / sqrt(d)
         y = (sum over positions of a (V - min V + eps)^gamma)^(1 / gamma), or without gamma: sum of a V
Shapes   x (N, C, *spatial) -> y (N, C), same dtype and device
Mask     masked positions are not read; a sample without any real one gives zeros
Cost     2 C^2 + 2 C parameters, 2 C^2 + 2 C P multiply-adds
Follows  the paper; the norm stands as in timm
Differs  the authors' code (billpsomas/simpool) subtracts the minimum of the whole batch, so that samples depend on
         each other; here it is the sample's own. Its beta, a learned number added where gamma is used, is left
         out; gamma = 2 is its default. Where the LayerNorm stands is as in timm, which equals this for gamma =
         None. W_k v . q is computed as v . (W_k^T q). One attention head, as in both
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction, check_positive


class SimPool(nn.Module):
    """Pool a map to what its mean finds in it.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        gamma: Exponent of the generalised mean of values, above 0; None for their plain mean.
        eps: What is added to values before they are raised to gamma, above 0.

    Attributes:
        out_features: Width of the vector, C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        gamma: float | None = 2.0,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        if gamma is not None:
            check_positive(self, "gamma", gamma)
        check_positive(self, "eps", eps)
        self.channels = channels
        self.ndim = ndim
        self.gamma = gamma
        self.eps = eps
        self.out_features = channels
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        real = masking.fill(x, mask, 0.0)
        values = self.norm(real.movedim(1, -1))  # (N, *spatial, C)
        query = self.query(masking.mean(real, mask)) / math.sqrt(self.channels)  # (N, C)
        asked = (query @ self.key.weight).to(values.dtype)  # W_k^T q: C^2 instead of P C^2
        scores = (values * asked[(slice(None), *[None] * self.ndim)]).sum(-1).unsqueeze(1)
        weights = masking.softmax(scores, mask)  # (N, 1, *spatial)
        wide = masking.widen(values).movedim(-1, 1)  # (N, C, *spatial)
        if self.gamma is None:
            y = (weights * wide).sum(masking.axes(x))
        else:
            least = masking.fill(wide, masking.or_all(mask), math.inf)
            least = least.amin(tuple(range(1, x.ndim)), keepdim=True)  # (N, 1, ...)
            powers = (masking.fill(wide - least, mask, 0.0) + self.eps).pow(self.gamma)
            y = (weights * powers).sum(masking.axes(x)).pow(1 / self.gamma)
        return masking.zero_empty(y, mask).to(x.dtype)

"""Spatial group-wise enhance: weigh positions, group by group, by their likeness to the group's mean.

Paper    Li et al., "Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional
         Networks", arXiv 1905.09646
Formula  in each group of channels, over positions i:  c_i = x_i . mean of x;   n_i = (c_i - m) / (s + eps),
         m and s the mean and standard deviation of c;   y_i = x_i * sigmoid(w n_i + b), w, b a group
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     all means and deviations are over real positions
Cost     2 G parameters, 2 C P + G P multiply-adds, G = gcd(C, groups)
Follows  the paper
Differs  there are gcd(C, groups) groups, so that any width works; at C <= 64 a group may be one
         channel, in the authors' code at 64 as well. s divides the squares by P as in the
         paper, where the authors' code (implus/PytorchInsight) divides by P - 1
         (`use_sample_variance=True`). One position has s = 0 and n = 0, not 0/0
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import check_bool, check_call, check_construction, check_integer

_EPS = 1e-5


class SpatialGroupEnhance(nn.Module):
    """Weigh the positions of each group of channels by their likeness to its mean.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        groups: Number of groups of channels, at least 1; of which the greatest common divisor with
            `channels` is used.
        use_sample_variance: Whether the variance of P values divides by P - 1, not by P.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        groups: int = 64,
        use_sample_variance: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "groups", groups)
        check_bool(self, "use_sample_variance", use_sample_variance)
        self.channels = channels
        self.ndim = ndim
        self.groups = math.gcd(channels, groups)
        self.use_sample_variance = use_sample_variance
        self.weight = nn.Parameter(torch.zeros(self.groups))
        self.bias = nn.Parameter(torch.ones(self.groups))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with the positions of each group weighed."""
        gate = self._gate(x, mask).to(x.dtype)
        return (self._split(x) * gate.unsqueeze(2)).flatten(1, 2)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position, the mean over groups, between 0 and 1."""
        return AttentionMap(spatial=self._gate(x, mask).mean(1))

    def _split(self, x: Tensor) -> Tensor:
        """Return x as (N, groups, C / groups, *spatial)."""
        return x.reshape(x.shape[0], self.groups, self.channels // self.groups, *x.shape[2:])

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()  # products overflow in the one and are coarse in the other
        x = masking.fill(x, mask, 0.0)
        mean = masking.mean(x, mask)
        parts = self._split(x * masking.spread(mean, x))
        c = parts.sum(2) if parts.shape[2] > 1 else parts.squeeze(2)  # (N, groups, *spatial)
        middle = self._split(mean.square()).sum(2)  # the mean of c, as c is linear in x
        deviation = masking.fill(c.sub_(masking.spread(middle, c)), mask, 0.0)
        number = masking.count(x, mask)
        freedom = number - 1 if self.use_sample_variance else number
        freedom = (
            freedom.clamp(min=1).to(c.dtype) if isinstance(freedom, Tensor) else max(freedom, 1)
        )
        # Whose slope at 0 is 0, not NaN.
        length = torch.linalg.vector_norm(deviation.flatten(2), dim=2)
        scale = self.weight / (length / freedom**0.5 + _EPS)  # (N, groups)
        bias = masking.spread(self.bias.expand_as(scale), c)
        return torch.addcmul(bias, deviation, masking.spread(scale, c)).sigmoid_()

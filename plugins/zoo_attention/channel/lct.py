"""Linear context transform: weigh each channel by where its mean stands among its group's means.

Paper    Ruan et al., "Linear Context Transform Block", AAAI 2020, arXiv 1909.03834
Formula  z = mean of x over space;   in each group of channels n_c = (z_c - m) / sqrt(v + eps), m and v the mean and
         variance of the group's z;   y_c = x_c * sigmoid(w_c n_c + b_c)
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     z is the mean over real positions
Cost     2 C parameters, C P multiply-adds
Follows  the paper; where it is silent, a public version
Differs  there are as many groups as divide C, up to `groups`, and leave each at least 2 channels: one alone has
         no variance. The paper's text was not at hand for where w and b start and for the number of groups: w = 0,
         b = 1 and 16 groups are those of a public version that sets them on purpose (LCTGate in
         openvinotoolkit/deep-object-reid); two that leave the norm's w = 1, b = 0 say nothing of it.
         v is a mean of squared differences; as E[z^2] - E[z]^2, as in those two, it cancels
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking, weighing
from zoo_attention.checks import check_call, check_construction, check_integer


class LinearContextTransform(nn.Module):
    """Weigh the channels of a map by their means, normalised within groups.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        groups: Number of groups of channels, at least 1; the largest divisor of C up to it that leaves two
            channels in a group is used.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, groups: int = 16) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "groups", groups)
        self.channels = channels
        self.ndim = ndim
        most = max(min(groups, channels // 2), 1)
        self.norm = nn.GroupNorm(max(n for n in range(1, most + 1) if channels % n == 0), channels)
        nn.init.zeros_(self.norm.weight)
        nn.init.ones_(self.norm.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels weighed."""
        check_call(self, x, mask)
        return weighing.weigh_by_means(x, mask, self._gate, is_wide=True)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel, between 0 and 1."""
        check_call(self, x, mask)
        return AttentionMap(channel=self._gate(masking.mean(x, mask, is_wide=True)))

    def _gate(self, z: Tensor) -> Tensor:
        """Return the gate of the means, both (N, C): of wide ones, as it is made of their differences."""
        norm = self.norm
        weight, bias = norm.weight.to(z.dtype), norm.bias.to(z.dtype)
        return torch.sigmoid(torch.group_norm(z, norm.num_groups, weight, bias, norm.eps))

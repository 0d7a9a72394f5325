"""Selective kernels: convolve with kernels of several sizes that compete for each channel.

Paper    Li et al., "Selective Kernel Networks", CVPR 2019, arXiv 1903.06586
Formula  U_m = relu(BN(conv_m(x))), conv_m 3x3 of dilation m, m = 1 ... M
         z = relu(BN(W s)), s = mean of U_1 + ... + U_M over space
         y = sum of a_m * U_m, a_m = softmax of V_m z over m
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; conv3 for ndim 1
Mask     masked positions are zeros to the convolutions; means and norms are over real positions
Cost     M (k C^2 / G + 2 C) + (M + 1) C d + 2 d parameters, P M (k C^2 / G + C) + (M + 1) C d multiply-adds, M =
         num_paths, G = gcd(C, groups), d = max(C // reduction, min_hidden), k = 3^ndim
Follows  the paper
Differs  gcd(C, groups) groups, so that narrow maps work. The paper's second kernel is 5x5, as a 3x3 of dilation 2;
         `use_dilation=False` has kernels of 3, 5, ... positions. W and V have no biases, as in the equations. The
         norm of z, of one sample, which has no variance, uses its running statistics
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.branch.choosing import Choice, weighed_sum
from zoo_attention.checks import (
    check_batch_norm,
    check_bool,
    check_call,
    check_construction,
    check_integer,
)
from zoo_attention.normalizing import batch_norm


class SelectiveKernel(nn.Module):
    """Convolve a map with kernels of several sizes that compete for each channel.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        num_paths: The paper's M, the number of kernels, at least 2.
        groups: Number of groups of each convolution, at least 1; of which the greatest common divisor
            with C is used.
        reduction: How many times narrower the hidden layer is than the map, at least 1.
        min_hidden: The paper's L, width that the hidden layer has at least, from 1.
        use_dilation: Whether larger kernels are 3 wide and dilated, not wider.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        num_paths: int = 2,
        groups: int = 32,
        reduction: int = 16,
        min_hidden: int = 32,
        use_dilation: bool = True,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "num_paths", num_paths, least=2)
        check_integer(self, "groups", groups)
        check_integer(self, "reduction", reduction)
        check_integer(self, "min_hidden", min_hidden)
        check_bool(self, "use_dilation", use_dilation)
        self.channels = channels
        self.ndim = ndim
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        norm = nn.BatchNorm1d if ndim == 1 else nn.BatchNorm2d
        share = math.gcd(channels, groups)
        paths = range(1, num_paths + 1)
        sizes = [(3, m) if use_dilation else (2 * m + 1, 1) for m in paths]
        self.convs = nn.ModuleList(
            conv(channels, channels, k, padding=m, dilation=dilation, groups=share, bias=False)
            for m, (k, dilation) in zip(paths, sizes, strict=True)
        )
        self.norms = nn.ModuleList(norm(channels) for _ in paths)
        hidden = max(channels // reduction, min_hidden)
        self.choice = Choice(channels, num_paths, hidden, use_bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the sum of what all kernels give, weighed by channel."""
        maps = self._maps(x, mask)
        return weighed_sum(maps, self.choice(maps, mask)).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of the largest kernel in each channel, between 0 and 1."""
        return AttentionMap(channel=self.choice(self._maps(x, mask), mask)[:, -1])

    def _maps(self, x: Tensor, mask: Tensor | None) -> list[Tensor]:
        """Return U_1 ... U_M."""
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        clean = masking.fill(x, mask, 0.0)
        pairs = zip(self.convs, self.norms, strict=True)
        normal = (batch_norm(norm, conv(clean), mask) for conv, norm in pairs)
        return [functional.relu(each, inplace=True) for each in normal]  # ours alone

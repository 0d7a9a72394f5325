"""Global response normalisation: strengthen channels whose maps are large among all channels.

Paper    Woo et al., "ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders", CVPR 2023,
         arXiv 2301.00808
Formula  g_c = sqrt(sum of x_c^2 over space);   n_c = g_c / (mean of g over channels + eps)
         y_c = x_c + gamma_c (x_c n_c) + beta_c
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     sums are over real positions
Cost     2 C parameters, C P + C multiply-adds
Follows  the paper
Differs  nothing from the paper, whose listing has eps 1e-6. At the start gamma and beta are 0: y is x
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import check_call, check_construction, check_positive


class GlobalResponseNorm(nn.Module):
    """Weigh the channels of a map by their norms, divided by the mean norm, and shift them.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        eps: What is added to the mean norm, above 0.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    gate_range = (-math.inf, math.inf)  # 1 + gamma times a share of norms

    def __init__(self, channels: int, *, ndim: int = 2, eps: float = 1e-6) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_positive(self, "eps", eps)
        self.channels = channels
        self.ndim = ndim
        self.eps = eps
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels weighed and shifted."""
        gate = masking.spread(self._gate(x, mask), x)
        return torch.addcmul(masking.spread(self.beta, x), x, gate)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return what each channel is multiplied by, 1 at the start."""
        return AttentionMap(channel=self._gate(x, mask))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        size = masking.norm(x, mask, 2)  # (N, C), at least float32
        return 1 + self.gamma * (size / (size.mean(1, keepdim=True) + self.eps))

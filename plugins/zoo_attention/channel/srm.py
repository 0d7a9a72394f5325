"""Style-based recalibration: weigh each channel by its own mean and standard deviation.

Paper    Lee et al., "SRM: A Style-Based Recalibration Module for CNNs", ICCV 2019, arXiv 1903.10829
Formula  m_c, s_c = mean and standard deviation of channel c over space, s_c = sqrt(variance + eps)
         y_c = x_c * sigmoid(BN(w_c1 m_c + w_c2 s_c)),   w = 0 at the start
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     mean and standard deviation over real positions; the norm learns from samples that have some
Cost     4 C parameters, C P + 2 C multiply-adds
Follows  the paper
Differs  the variance is that of the paper's equation, divided by P; the authors' code (hyunjaelee410's repository)
         divides by P - 1: `use_sample_variance=True`. eps 1e-5 is that code's. w decays with other weights here;
         that code's training leaves it out. The norm of one sample, which has no variance, uses its running
         statistics
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking, normalizing, weighing
from zoo_attention.checks import check_batch_norm, check_bool, check_call, check_construction

_EPS = 1e-5


class StyleRecalibration(nn.Module):
    """Weigh each channel of a map by a norm of its mean and standard deviation.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        use_sample_variance: Whether the variance of P values divides by P - 1, not by P.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range; from `forward` in training, there
            is one position in all.
    """

    def __init__(self, channels: int, *, ndim: int = 2, use_sample_variance: bool = False) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_bool(self, "use_sample_variance", use_sample_variance)
        self.channels = channels
        self.ndim = ndim
        self.use_sample_variance = use_sample_variance
        self.weight = nn.Parameter(torch.zeros(channels, 2))
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels weighed."""
        return weighing.weigh(x, self._gate(x, mask))

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel, between 0 and 1."""
        return AttentionMap(channel=self._gate(x, mask))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        mean, variance = normalizing.moments(x, mask)  # (N, C)
        if self.use_sample_variance:
            number = masking.count(x, mask)
            if isinstance(number, Tensor):
                variance = variance * (number / (number - 1).clamp(min=1))
            else:
                variance = variance * (number / max(number - 1, 1))
        style = torch.stack([mean, torch.sqrt(variance + _EPS)], 2)  # (N, C, 2)
        # In the dtype of w, not of x: rounding would be large beside what the norm leaves of it.
        z = (style.to(self.weight.dtype) * self.weight).sum(2)  # (N, C)
        some = None if mask is None else mask.flatten(1).any(1)  # (N)
        return torch.sigmoid(normalizing.batch_norm(self.norm, z, some))

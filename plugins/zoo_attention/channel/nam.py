"""Normalisation-based attention: weigh values by their batch norm, and by how much its scale counts.

Paper    Liu et al., "NAM: Normalization-based Attention Module", NeurIPS 2021 workshop, arXiv 2111.12419
Formula  w_c = |gamma_c| / sum of |gamma|, gamma the scales of BN;   y = x * sigmoid(w BN(x))
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     in training the norm learns from real positions
Cost     2 C parameters, 2 C P multiply-adds
Follows  the paper; absolute values as in the authors' code
Differs  absolute values, as in the authors' code (Christian-lyc/NAM): the paper's gamma / sum of gamma is the same
         while all are positive. That code takes w as a constant: `use_constant_weights=True`. Where every
         gamma is 0, w is 0, not 0/0. The paper's half over positions, whose norm has one scale for each
         position of one map size, is left out, as it is in the authors' networks
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking, normalizing
from zoo_attention.checks import check_batch_norm, check_bool, check_call, check_construction


class NormalizationAttention(nn.Module):
    """Weigh the values of a map by their batch norm and the share of its scale.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        use_constant_weights: Whether no gradient flows through the shares of the scales.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range; from `forward` in training, there
            is one position in all.
    """

    def __init__(self, channels: int, *, ndim: int = 2, use_constant_weights: bool = False) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_bool(self, "use_constant_weights", use_constant_weights)
        self.channels = channels
        self.ndim = ndim
        self.use_constant_weights = use_constant_weights
        self.norm = nn.BatchNorm1d(channels) if ndim == 1 else nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its values weighed."""
        return x * self._gate(x, mask).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the mean weight of each channel over real positions, and of each position."""
        gate = self._gate(x, mask)
        return AttentionMap(channel=masking.mean(gate, mask), spatial=gate.mean(1))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        scales = self.norm.weight.abs()
        share = scales / scales.sum().clamp(min=torch.finfo(scales.dtype).tiny)
        if self.use_constant_weights:
            share = share.detach()
        normal = normalizing.batch_norm(self.norm, x, mask)
        return torch.sigmoid(normal * masking.spread(share, normal))

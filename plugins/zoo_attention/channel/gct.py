"""Gated channel transformation: let channels compete or cooperate by the norms of their maps.

Paper    Yang et al., "Gated Channel Transformation for Visual Recognition", CVPR 2020, arXiv 1909.11519
Formula  s_c = alpha_c sqrt(sum of x_c^2 over space + eps);   t_c = sqrt(C) s_c / sqrt(sum of s^2 over channels + eps)
         y_c = x_c (1 + tanh(gamma_c t_c + beta_c))
         "l1": s_c = alpha_c (sum of |x_c|);   t_c = s_c / (mean of |s| over channels + eps)
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     sums are over real positions
Cost     3 C parameters, C P + 2 C multiply-adds
Follows  the paper
Differs  "l1" of the paper's comparison as the authors' code has it. At the start alpha 1, gamma and beta 0: y is x
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking, weighing
from zoo_attention.checks import check_call, check_choice, check_construction, check_positive


class GatedChannelTransform(nn.Module):
    """Weigh the channels of a map by their norms, compared with those of all channels.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        norm: How large a channel is, `"l2"` or `"l1"`.
        eps: What keeps roots and quotients finite, above 0.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    gate_range = (0.0, 2.0)  # 1 + tanh

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        norm: Literal["l2", "l1"] = "l2",
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_choice(self, "norm", norm, ("l2", "l1"))
        check_positive(self, "eps", eps)
        self.channels = channels
        self.ndim = ndim
        self.norm = norm
        self.eps = eps
        self.alpha = nn.Parameter(torch.ones(channels))
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def no_weight_decay(self) -> set[str]:
        """Return the gate's offset, which the paper does not let decay."""
        return {"beta"}

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels weighed."""
        return weighing.weigh(x, self._gate(x, mask))

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel, between 0 and 2."""
        return AttentionMap(channel=self._gate(x, mask))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        size = masking.norm(x, mask, 2 if self.norm == "l2" else 1)  # (N, C), at least float32
        if self.norm == "l2":
            s = self.alpha * torch.sqrt(size.square() + self.eps)
            total = torch.linalg.vector_norm(s, dim=1, keepdim=True)
            t = math.sqrt(self.channels) * s / torch.sqrt(total.square() + self.eps)
        else:
            s = self.alpha * size
            t = s / (s.abs().mean(1, keepdim=True) + self.eps)
        return 1 + torch.tanh(self.gamma * t + self.beta)

"""Effective squeeze-and-excitation: weigh channels by one layer over their means, without a bottleneck.

Paper    Lee and Park, "CenterMask: Real-Time Anchor-Free Instance Segmentation", CVPR 2020, arXiv 1911.06667
Formula  z = mean of x over space;   y = x * s(W z), with s(t) = min(max(t + 3, 0), 6) / 6
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     z is the mean over real positions
Cost     C^2 parameters, C^2 + C P multiply-adds; `use_bias=True`: C more parameters
Follows  the authors' code; without its bias, as in the paper
Differs  the paper's equation, as a public note quotes it, writes a sigmoid (`gate="sigmoid"`) and no bias; the
         authors' networks (youngwanLEE/CenterMask and vovnet-detectron2, read for this) use the hard sigmoid above
         and a bias (`use_bias=True`)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking, weighing
from zoo_attention.checks import check_bool, check_call, check_choice, check_construction


class EffectiveSqueezeExcite(nn.Module):
    """Weigh the channels of a map by one layer over their means.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        gate: What makes weights of the layer's outputs, `"hard_sigmoid"` or `"sigmoid"`.
        use_bias: Whether the layer has a bias.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        gate: Literal["hard_sigmoid", "sigmoid"] = "hard_sigmoid",
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_choice(self, "gate", gate, ("hard_sigmoid", "sigmoid"))
        check_bool(self, "use_bias", use_bias)
        self.channels = channels
        self.ndim = ndim
        self.gate = gate
        self.mix = nn.Linear(channels, channels, bias=use_bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels weighed."""
        check_call(self, x, mask)
        return weighing.weigh_by_means(x, mask, self._gate)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel, from 0 to 1."""
        check_call(self, x, mask)
        return AttentionMap(channel=self._gate(masking.mean(x, mask)))

    def _gate(self, z: Tensor) -> Tensor:
        """Return the gate of the means, both (N, C)."""
        logits = self.mix(z)
        if self.gate == "sigmoid":
            return torch.sigmoid(logits)
        return functional.relu6(logits + 3) / 6  # torch's hard sigmoid has no second derivative

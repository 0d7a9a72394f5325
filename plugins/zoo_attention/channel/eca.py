"""Efficient channel attention: weigh each channel by the means of its neighbours in the channel order.

Paper    Wang et al., "ECA-Net: Efficient Channel Attention for Deep CNNs", CVPR 2020, arXiv 1910.03151
Formula  z = mean of x over space;   y = x * sigmoid(conv1d(z, k)), along the channels, zeros beyond the ends
         k = the odd number nearest to |log2(C) / 2 + 1 / 2|, the upper one of two
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     z is the mean over real positions
Cost     k parameters, k C + C P multiply-adds, k = 2 floor((log2(C) + 1) / 4) + 1
Follows  the paper
Differs  nothing from the paper. The authors' released networks use kernel sizes chosen by hand for each
         stage: give `kernel_size`
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking, weighing
from zoo_attention.checks import check_call, check_construction, check_odd


class EfficientChannelAttention(nn.Module):
    """Weigh the channels of a map by a short convolution over their means.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        kernel_size: How many neighbouring channels decide together, odd; None for the paper's rule.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, kernel_size: int | None = None) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        if kernel_size is None:
            kernel_size = _adaptive_size(channels)
        check_odd(self, "kernel_size", kernel_size)
        self.channels = channels
        self.ndim = ndim
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels weighed."""
        check_call(self, x, mask)
        return weighing.weigh_by_means(x, mask, self._gate)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel, between 0 and 1."""
        check_call(self, x, mask)
        return AttentionMap(channel=self._gate(masking.mean(x, mask)))

    def _gate(self, z: Tensor) -> Tensor:
        """Return the gate of the means, both (N, C)."""
        return torch.sigmoid(self.conv(z.unsqueeze(1)).squeeze(1))


def _adaptive_size(channels: int) -> int:
    """Return the kernel size that the paper gives `channels` channels (gamma 2, b 1)."""
    size = int(math.log2(channels) / 2 + 1 / 2)
    return size if size % 2 else size + 1

"""DANet's channel attention: each channel adds what it reads from all channels, from nothing at the start.

Paper    Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019, arXiv 1809.02983
Formula  s_ji = softmax_i(A_i . A_j) over channels i;   E_j = beta sum over i of s_ji A_i + A_j, beta 0 at the start
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     the products A_i . A_j are over real positions
Cost     1 parameter, 2 C^2 P + C P multiply-adds
Follows  the paper
Differs  the authors' code (junfu1115/DANet, read for this) takes the softmax of max_i(A_i . A_j) - A_i . A_j:
         unlike channels are read most, not like ones. The default is the paper; `use_distance=True` is the
         code
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import check_bool, check_call, check_construction
from zoo_attention.self_attention import reading


class ChannelReading(nn.Module):
    """Add to each channel what it reads from all channels, by a learnt amount.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        use_distance: Whether channels that differ most are read most, as in the authors' code.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    growth = 1

    def __init__(self, channels: int, *, ndim: int = 2, use_distance: bool = False) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_bool(self, "use_distance", use_distance)
        self.channels = channels
        self.ndim = ndim
        self.use_distance = use_distance
        self.beta = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with beta times what each channel has read added."""
        weights, flat = self._weights(x, mask)
        read = (weights.to(flat.dtype) @ flat).reshape(x.shape).to(x.dtype)
        return x + read * self.beta.to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each channel is read: the mean over all channels, summing to 1."""
        return AttentionMap(channel=self._weights(x, mask)[0].mean(1))

    def _weights(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return how much each channel (row) reads each other, (N, C, C), and the map (N, C, P)."""
        check_call(self, x, mask)
        flat = masking.fill(x, mask, 0.0).flatten(2)
        with reading.exact(x):  # a sum over the map overflows float16
            wide = flat.float() if flat.dtype == torch.float16 else flat
            energy = wide @ wide.transpose(1, 2)  # (N, C, C)
        if self.use_distance:
            energy = energy.amax(2, keepdim=True) - energy
        return energy.softmax(2), flat

"""Frequency channel attention: weigh channels by cosine components of their maps, not by means alone.

Paper    Qin et al., "FcaNet: Frequency Channel Attention Networks", ICCV 2021, arXiv 2012.11879
Formula  z_c = sum over i, j of x_c[i, j] b(u_c, i) b(v_c, j) / sqrt(H W)
         b(u, i) = cos(pi u (i + 1/2) / 7), times sqrt(2) if u > 0;   y = x * sigmoid(W2 relu(W1 z))
         (u, v) is one of the best 16 of a 7 x 7 grid, the same in each of 16 groups of channels
Shapes   x (N, C, H, W) -> y (N, C, H, W), same dtype and device
Mask     sums over real positions, their number for H W; positions count from the corner of the map
Cost     2 C h parameters, C P min(num_frequencies, C) + 2 C h + C P multiply-adds, h = max(C // reduction,
         min_hidden)
Follows  the paper; where it is silent, the authors' code
Differs  the cosines are made for the size at hand, of the wave lengths that the paper's frequencies have in maps of
         a multiple of 7, for which its networks are made; other sizes they pool to such a one. With C < 16
         the first C frequencies are used, and groups differ by one where 16 does not divide C. Hidden width is at
         least 8; `min_hidden=1` is the paper's. Rankings are those of the authors' repository (cfzd/FcaNet)
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap, InvalidValue
from zoo_attention import checks, masking, strips, weighing

# Frequencies (rows, columns) of the 7 x 7 grid in the order of what each alone achieved, or from low to high.
_RANKS = {
    "top": ("00600114513000324635526553342261", "01052020060463526333511242113053"),
    "low": ("00110221203401301234501234561234", "01012012230043154321065432106543"),
    "bottom": ("61332412445146256162243355625536", "64466314456522514350311242115333"),
}


class FrequencyChannelAttention(nn.Module):
    """Weigh the channels of a map by a small network over cosine components of their maps.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 2.
        reduction: How many times narrower the hidden layer is than the map, at least 1.
        min_hidden: Width that the hidden layer has at least, from 1.
        selection: Which frequencies: the best, the lowest or the worst: `"top"`, `"low"`, `"bottom"`.
        num_frequencies: How many of them, 1 to 32; C where that is less.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    rows: Tensor
    columns: Tensor
    group: Tensor

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        reduction: int = 16,
        min_hidden: int = 8,
        selection: Literal["top", "low", "bottom"] = "top",
        num_frequencies: int = 16,
    ) -> None:
        super().__init__()
        checks.check_construction(self, channels, ndim)
        strips.check_two_axes(self, ndim)
        checks.check_integer(self, "reduction", reduction)
        checks.check_integer(self, "min_hidden", min_hidden)
        checks.check_choice(self, "selection", selection, tuple(_RANKS))
        checks.check_integer(self, "num_frequencies", num_frequencies)
        if num_frequencies > 32:
            raise InvalidValue(
                f"{type(self).__name__}: num_frequencies is {num_frequencies}, but must be at most 32."
            )
        self.channels, self.ndim = channels, ndim
        number = min(num_frequencies, channels)
        for name, rank in zip(("rows", "columns"), _RANKS[selection], strict=True):
            chosen = torch.tensor([int(digit) for digit in rank[:number]])
            self.register_buffer(name, chosen, persistent=False)
        group = torch.arange(channels) * number // channels
        self.register_buffer("group", group[:, None], persistent=False)
        width = max(channels // reduction, min_hidden)
        self.reduce = nn.Linear(channels, width, bias=False)
        self.expand = nn.Linear(width, channels, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels weighed."""
        return weighing.weigh(x, self._gate(x, mask))

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel, between 0 and 1."""
        return AttentionMap(channel=self._gate(x, mask))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        checks.check_call(self, x, mask)
        rows, columns = _cosines(self.rows, x.shape[2], x), _cosines(self.columns, x.shape[3], x)
        # A tensor: the root of a Python number would fix the size.
        size = torch.full((), x.shape[2] * x.shape[3], dtype=rows.dtype, device=x.device)
        rows = rows * size.rsqrt()  # here: in float16 the sum itself could overflow
        basis = (rows[:, :, None] * columns[:, None, :]).flatten(1)  # (n, P)
        # All components of all channels in one product, read once; each channel then picks its own.
        every = masking.fill(x, mask, 0.0).flatten(2) @ basis.t().to(x.dtype)  # (N, C, n)
        z = every.gather(2, self.group.expand(x.shape[0], -1, -1)).squeeze(2)  # (N, C)
        if mask is not None:
            number = mask.flatten(1).sum(1, keepdim=True).clamp(min=1)
            z = z * (size / number).sqrt().to(z.dtype)
        return torch.sigmoid(self.expand(functional.relu(self.reduce(z))))


def _cosines(frequencies: Tensor, size: int, x: Tensor) -> Tensor:
    """Return one cosine a frequency at `size` positions, (n, size), of at least float32."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    middles = torch.arange(size, device=x.device, dtype=dtype) + 0.5
    amplitudes = 1 + (frequencies > 0).to(dtype) * (math.sqrt(2) - 1)
    waves = torch.cos(frequencies[:, None].to(dtype) * (math.pi / 7) * middles)
    return amplitudes[:, None] * waves

"""Sine positions, made for the size at hand.

Paper    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv 1706.03762, section 3.5
Formula  p[2i] = sin(t / 10000^(2i / D)),   p[2i + 1] = cos(t / 10000^(2i / D)), t counted from 0
         in two dimensions the first C // 2 channels tell the row, the others the column
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sine_positions(x: Tensor) -> Tensor:
    """Return the positions of a map x (N, C, *spatial), as (C, *spatial) in its dtype, on its device."""
    channels = x.shape[1]
    if x.ndim == 3:
        return _waves(x.shape[2], channels, x.device).to(x.dtype)  # (C, L)
    height, width = x.shape[2:]
    rows = _waves(height, channels // 2, x.device).unsqueeze(2).expand(-1, -1, width)
    columns = _waves(width, channels - channels // 2, x.device).unsqueeze(1).expand(-1, height, -1)
    return torch.cat([rows, columns]).to(x.dtype)  # (C, H, W)


def _waves(size: int, width: int, device: torch.device) -> Tensor:
    """Return the waves of `size` positions along one axis, (width, size), in float32."""
    index = torch.arange(width, device=device)
    pair = index - index % 2  # 0, 0, 2, 2, 4, ...
    rate = torch.exp(pair * (-math.log(10000) / max(width, 1)))  # (width,)
    angle = rate.unsqueeze(1) * torch.arange(size, device=device)  # (width, size)
    return torch.where((index % 2 == 0).unsqueeze(1), angle.sin(), angle.cos())

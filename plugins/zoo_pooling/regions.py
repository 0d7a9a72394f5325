"""Maxima over windows whose places follow from the size at hand, without loops over that size.

A region is a window on each axis. Of a masked map the windows are laid over the smallest box that holds
the real positions, so that padding changes nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo_pooling import maxima


def box(x: Tensor, mask: Tensor | None, axis: int) -> tuple[Tensor, Tensor]:
    """Return where the real positions begin on an axis and their extent, (N, 1) or (1, 1) each."""
    size = x.shape[axis]
    if mask is None:
        whole = torch.full((1, 1), size, device=x.device)
        return torch.zeros_like(whole), whole
    others = tuple(a for a in range(1, mask.ndim) if a != axis - 1)
    present = mask.any(others) if others else mask  # (N, size)
    place = torch.arange(size, device=x.device)
    first = torch.where(present, place, size).amin(1, keepdim=True)
    end = torch.where(present, place + 1, 0).amax(1, keepdim=True)
    return first, (end - first).clamp(min=1)


def window_maxima(x: Tensor, axis: int, starts: Tensor, ends: Tensor) -> Tensor:
    """Return the maximum over each window of an axis; -infinity for a window that has no position.

    Args:
        x: (N, C, *spatial), -infinity at masked positions.
        axis: Which axis of x.
        starts: First position of each of B windows, (N, B) or (1, B).
        ends: The position behind its last, like `starts`.

    Returns:
        x with B in place of the size of that axis.
    """
    if _is_at_hand(starts):
        places = zip(starts[0].tolist(), ends[0].tolist(), strict=True)
        return torch.stack([_maximum(x, axis, start, end) for start, end in places], axis)
    place = torch.arange(x.shape[axis], device=x.device)
    inside = (place >= starts.unsqueeze(2)) & (place < ends.unsqueeze(2))  # (N, B, size)
    before = [None] * (axis - 1)
    behind = [None] * (x.ndim - 1 - axis)
    inside = inside[(slice(None), *before, slice(None), slice(None), *behind)]
    return torch.where(inside, x.unsqueeze(axis), -math.inf).amax(axis + 1)


def _is_at_hand(starts: Tensor) -> bool:
    """Tell whether places are the same for all samples, and numbers that can be looked at."""
    return (
        starts.shape[0] == 1
        and starts.device.type == "cpu"
        and type(starts) is Tensor
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    )


def _maximum(x: Tensor, axis: int, start: int, end: int) -> Tensor:
    """Return the maximum over one window."""
    if end <= start:
        return torch.full_like(x.select(axis, 0), -math.inf)
    return maxima.amax(x.narrow(axis, start, end - start), axis)


def zero_empty(maxima: Tensor) -> Tensor:
    """Return maxima with zeros for windows that have no position."""
    return torch.where(maxima == -math.inf, 0.0, maxima)

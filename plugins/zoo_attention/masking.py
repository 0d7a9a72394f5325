"""Statistics of a map over its real positions: x is (N, C, *spatial), mask (N, *spatial) or None.

Masked values are replaced, not multiplied by 0, so that even NaN and infinity there do no harm to what comes
out at real positions. That holds forwards only: x times a gate hands them back where they stood, and the
gradient of the gate, a sum over all positions, reads them. Who trains fills x before.
A sample without any real position gives zeros.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo_attention import maxima


def fill(x: Tensor, mask: Tensor | None, value: float) -> Tensor:
    """Return x with `value` at masked positions; x itself where there is no mask."""
    return x if mask is None else torch.where(mask.unsqueeze(1), x, value)


def count(x: Tensor, mask: Tensor | None) -> Tensor | int:
    """Return how many positions are real: (N, 1) with a mask, one number without."""
    return math.prod(x.shape[2:]) if mask is None else mask.flatten(1).sum(1, keepdim=True)


def mean(x: Tensor, mask: Tensor | None, *, is_wide: bool = False) -> Tensor:
    """Return the mean over real positions, (N, C), in the dtype of x, or with `is_wide` at least float32."""
    # A sum and a division: in bfloat16 torch's `mean` takes four times as long as its `sum`, and in any dtype
    # its gradient is written as a map. A sum in float16 could overflow where the mean does not.
    is_narrow = x.dtype == torch.float16 or (is_wide and x.dtype == torch.bfloat16)
    wide = torch.float32 if is_narrow else None
    total = fill(x, mask, 0.0).flatten(2).sum(2, dtype=wide)  # (N, C)
    number = count(x, mask)
    if isinstance(number, Tensor):
        number = number.clamp(min=1)
    means = total / number
    return means if is_wide else means.to(x.dtype)


def mean_of_channels(x: Tensor) -> Tensor:
    """Return the mean over channels, (N, 1, *spatial), in the dtype of x."""
    wide = torch.float32 if x.dtype == torch.float16 else None
    return (x.sum(1, keepdim=True, dtype=wide) / x.shape[1]).to(x.dtype)


def amax(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the maximum over real positions, (N, C)."""
    largest = maxima.amax(fill(x, mask, -math.inf).flatten(2), 2)  # (N, C)
    if mask is None:
        return largest
    return torch.where(mask.flatten(1).any(1, keepdim=True), largest, 0.0)


def norm(x: Tensor, mask: Tensor | None, order: int) -> Tensor:
    """Return the l1 or l2 norm (`order` 1 or 2) over real positions, (N, C), in at least float32."""
    wide = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else None
    out: Tensor = torch.linalg.vector_norm(fill(x, mask, 0.0).flatten(2), order, dim=2, dtype=wide)
    return out


def spread(gate: Tensor, x: Tensor) -> Tensor:
    """Return a gate (N, C) as (N, C, 1, ...), in the dtype of x, so that x can be multiplied by it."""
    return gate.to(x.dtype)[(..., *[None] * (x.ndim - 2))]

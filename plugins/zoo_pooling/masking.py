"""Statistics of a map over its real positions: x is (N, C, *spatial), mask (N, *spatial) or None.

Masked values are replaced, not multiplied by 0, so that even NaN and infinity there do no harm.
A sample without any real position gives zeros.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def fill(x: Tensor, mask: Tensor | None, value: float) -> Tensor:
    """Return x with `value` at masked positions; x itself where there is no mask."""
    return x if mask is None else torch.where(mask.unsqueeze(1), x, value)


def count(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return how many positions of each sample are real, at least 1: (N, 1), or () without a mask."""
    if mask is None:
        return torch.full((), math.prod(x.shape[2:]), device=x.device)
    return mask.flatten(1).sum(1, keepdim=True).clamp(min=1)


def mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean over real positions, (N, C), in the dtype of x."""
    # A sum and a division: in bfloat16 torch's `mean` takes four times as long as its `sum`. A sum
    # in float16 could overflow where the mean does not.
    wide = torch.float32 if x.dtype == torch.float16 else None
    total = fill(x, mask, 0.0).flatten(2).sum(2, dtype=wide)  # (N, C)
    return (total / count(x, mask)).to(x.dtype)


def amax(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the maximum over real positions, (N, C)."""
    largest = fill(x, mask, -math.inf).flatten(2).amax(2)  # (N, C)
    if mask is None:
        return largest
    return torch.where(mask.flatten(1).any(1, keepdim=True), largest, 0.0)

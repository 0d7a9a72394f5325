"""Statistics of a map over its real positions: x is (N, C, *spatial), mask (N, *spatial) or None.

Masked values are replaced, not multiplied by 0, so that even NaN and infinity there do no harm.
A sample without any real position gives zeros. Nothing here flattens height before width: a fixed
height beside a width of any size makes torch.export guard against some widths.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo_pooling import maxima


def axes(x: Tensor) -> tuple[int, ...]:
    """Return the spatial axes of a map."""
    return tuple(range(2, x.ndim))


def widen(x: Tensor) -> Tensor:
    """Return x in float32 if it has 16 bits, else x itself."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def fill(x: Tensor, mask: Tensor | None, value: float) -> Tensor:
    """Return x with `value` at masked positions; x itself where there is no mask."""
    return x if mask is None else torch.where(mask.unsqueeze(1), x, value)


def has_real(mask: Tensor) -> Tensor:
    """Return which samples have any real position, (N,)."""
    return mask.any(tuple(range(1, mask.ndim)))


def or_all(mask: Tensor | None) -> Tensor | None:
    """Return the mask, but True throughout a sample that has no real position."""
    if mask is None:
        return None
    return mask | ~has_real(mask)[(..., *[None] * (mask.ndim - 1))]


def zero_empty(y: Tensor, mask: Tensor | None) -> Tensor:
    """Return vectors (N, F) with zeros for samples without any real position."""
    return y if mask is None else torch.where(has_real(mask).unsqueeze(1), y, 0.0)


def count(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return how many positions of each sample are real, at least 1: (N, 1), or () without a mask."""
    if mask is None:
        return torch.full((), math.prod(x.shape[2:]), device=x.device)
    return mask.sum(tuple(range(1, mask.ndim))).clamp(min=1).unsqueeze(1)


def mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean over real positions, (N, C), in the dtype of x."""
    # A sum and a division: in bfloat16 torch's `mean` takes four times as long as its `sum`, and in any dtype
    # its gradient is written as a map. A sum in float16 could overflow where the mean does not.
    wide = torch.float32 if x.dtype == torch.float16 else None
    if mask is None:
        return (x.sum(axes(x), dtype=wide) / math.prod(x.shape[2:])).to(x.dtype)
    total = fill(x, mask, 0.0).sum(axes(x), dtype=wide)  # (N, C)
    return (total / count(x, mask)).to(x.dtype)


def amax(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the maximum over real positions, (N, C)."""
    return zero_empty(maxima.amax(fill(x, mask, -math.inf), axes(x)), mask)


def softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Return the softmax over real positions, of the shape of `scores`, in at least float32."""
    real = or_all(mask)
    scores = fill(widen(scores), real, -math.inf)
    powers = (scores - scores.detach().amax(axes(scores), keepdim=True)).exp()
    weights = powers / powers.sum(axes(scores), keepdim=True)
    return fill(weights, mask, 0.0)


def tokens(x: Tensor) -> Tensor:
    """Return a map as vectors, (N, P, C), width before height."""
    return x.permute(0, *reversed(axes(x)), 1).flatten(1, -2)


def flat(mask: Tensor | None) -> Tensor | None:
    """Return a mask as (N, P), in the order of `tokens`."""
    return None if mask is None else mask.permute(0, *range(mask.ndim - 1, 0, -1)).flatten(1)

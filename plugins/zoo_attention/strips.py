"""Means of a map along one axis: of each row and of each column. For modules of two dimensions only."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import InvalidValue


def check_two_axes(module: object, ndim: int) -> None:
    """Refuse one spatial dimension: along one axis of one there is nothing to take the mean of."""
    if ndim == 1:
        raise InvalidValue(
            f"{type(module).__name__}: ndim is 1, but must be 2 for (N, C, H, W): it has two axes."
        )


def row_means(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean of each row of (N, C, H, W) over its real positions, (N, C, H); 0 for none."""
    return _means(x, mask, 3)


def column_means(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean of each column of (N, C, H, W) over its real positions, (N, C, W); 0 for none."""
    return _means(x, mask, 2)


def real_strips(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return which rows, (N, H), and which columns, (N, W), have real positions."""
    return mask.any(2), mask.any(1)


def _means(x: Tensor, mask: Tensor | None, axis: int) -> Tensor:
    if mask is None and x.dtype == torch.bfloat16 and x.is_contiguous():
        return x.mean(axis)  # whose gradient is written as a map: there torch adds it up faster
    # A sum and a division else, as in `masking.mean`, and for the same reasons.
    wide = torch.float32 if x.dtype == torch.float16 else None
    if mask is None:
        return (x.sum(axis, dtype=wide) / x.shape[axis]).to(x.dtype)
    total = torch.where(mask.unsqueeze(1), x, 0.0).sum(axis, dtype=wide)
    number = mask.sum(axis - 1).clamp(min=1).unsqueeze(1)  # (N, 1, H or W)
    return (total / number).to(x.dtype)

"""Norms over real positions: x is (N, C, *spatial), mask (N, *spatial) or None.

A batch norm that is given one value a channel in training uses its running statistics, and leaves them
as they are: one value has no variance. So a norm over the means of a map can train on one sample.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo_attention import masking

_HALF = (torch.float16, torch.bfloat16)


def moments(x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return mean and variance (of the population) over real positions, (N, C) each, at least float32."""
    wide = x.float() if x.dtype in _HALF else x
    mean = masking.mean(wide, mask)
    # Two passes, so that nothing cancels; torch's norm needs no map of squares.
    deviation = masking.fill(wide - masking.spread(mean, wide), mask, 0.0).flatten(2)
    number = masking.count(x, mask)
    if isinstance(number, Tensor):
        number = number.clamp(min=1)
    return mean, torch.linalg.vector_norm(deviation, dim=2).square() / number


def group_norm(norm: nn.GroupNorm, x: Tensor, mask: Tensor | None) -> Tensor:
    """Return `norm(x)` with the statistics of real positions; masked positions come out as 0."""
    if mask is None:  # the function of `nn` refuses one value a group; this one gives 0 there
        return torch.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
    clean = masking.fill(x, mask, 0.0)
    # A group's moments from its channels': all have the same number of positions.
    mean, variance = (torch.unflatten(m, 1, (norm.num_groups, -1)) for m in moments(clean, mask))
    middle = mean.mean(2, keepdim=True)  # (N, groups, 1)
    spread = (variance + (mean - middle).square()).mean(2, keepdim=True)
    scale = (spread + norm.eps).rsqrt().expand_as(mean).flatten(1) * norm.weight  # (N, C)
    shift = norm.bias - middle.expand_as(mean).flatten(1) * scale
    axes = (..., *[None] * (x.ndim - 2))
    return masking.fill(clean * scale[axes] + shift[axes], mask, 0.0).to(x.dtype)


def batch_norm(norm: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """Return `norm(x)` of a batch norm that learns from real positions only.

    In training, masked positions come out as 0. No value of the mask is looked at, so that it compiles.
    """
    state = cast("nn.BatchNorm1d", norm)  # 1-d and 2-d norms differ by the check of their input
    mean, variance, momentum = state.running_mean, state.running_var, state.momentum
    if mean is None or variance is None or momentum is None:
        raise TypeError("batch_norm needs a norm with running statistics and a momentum.")
    lone = mask is None and x.shape[0] * math.prod(x.shape[2:]) < 2
    if not norm.training or lone:
        return functional.batch_norm(x, mean, variance, state.weight, state.bias, eps=state.eps)
    if mask is None:
        out: Tensor = norm(x)
        return out
    axes = (0, *range(2, x.ndim))
    clean = masking.fill(x, mask, 0.0).to(torch.promote_types(mean.dtype, torch.float32))
    number = mask.sum()
    few = number < 2
    middle = clean.sum(axes) / number.clamp(min=1)  # (C)
    deviation = masking.fill(clean - _channels(middle, x), mask, 0.0)
    spread = deviation.square().sum(axes) / number.clamp(min=1)
    centre = torch.where(few, mean.clone(), middle)
    scale = (torch.where(few, variance.clone(), spread) + state.eps).rsqrt() * state.weight
    with torch.no_grad():
        step = momentum * ~few
        unbiased = spread * number / (number - 1).clamp(min=1)
        mean.add_(step * (middle - mean))
        variance.add_(step * (unbiased - variance))
        if state.num_batches_tracked is not None:
            state.num_batches_tracked.add_(~few)
    normal = (clean - _channels(centre, x)) * _channels(scale, x) + _channels(state.bias, x)
    return masking.fill(normal, mask, 0.0).to(x.dtype)


def _channels(values: Tensor, x: Tensor) -> Tensor:
    """Return one value a channel, (C), as (C, 1, ...) that goes with x."""
    return values[(..., *[None] * (x.ndim - 2))]

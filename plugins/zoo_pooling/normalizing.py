"""Batch norm of vectors: rows are (N, P, D), real (N, P) or None says which of them count.

No value of `real` is looked at, so that it compiles in one piece and does not wait for the device.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo_pooling import masking


def batch_norm(norm: nn.BatchNorm1d, rows: Tensor, real: Tensor | None) -> Tensor:
    """Return rows normed; in training by the statistics of real ones, and masked ones as 0.

    Less than two have no variance: they are normed by the running statistics, which stay as they are.
    """
    if not norm.training:
        out: Tensor = norm(rows.transpose(1, 2)).transpose(1, 2)
        return out
    if real is not None:
        return _masked(norm, rows, real)
    flat = rows.flatten(0, 1)
    if len(flat) > 1:
        out = norm(flat)
    else:
        mean, variance = norm.running_mean, norm.running_var
        out = functional.batch_norm(flat, mean, variance, norm.weight, norm.bias, eps=norm.eps)
    return out.reshape(rows.shape)


def _masked(norm: nn.BatchNorm1d, rows: Tensor, real: Tensor) -> Tensor:
    """Return rows normed by the statistics of real ones, from which the norm learns."""
    mean, variance = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
    keep = real.unsqueeze(2)  # (N, P, 1)
    number = real.sum()
    few = number < 2
    clean = torch.where(keep, masking.widen(rows), 0.0)
    middle = clean.sum((0, 1)) / number.clamp(min=1)  # (D)
    deviation = torch.where(keep, clean - middle, 0.0)
    spread = deviation.square().sum((0, 1)) / number.clamp(min=1)
    centre = torch.where(few, mean.clone(), middle)
    scale = (torch.where(few, variance.clone(), spread) + norm.eps).rsqrt() * norm.weight
    with torch.no_grad():
        step = cast("float", norm.momentum) * ~few
        mean.add_(step * (middle - mean))
        variance.add_(step * (spread * number / (number - 1).clamp(min=1) - variance))
        cast("Tensor", norm.num_batches_tracked).add_(~few)
    return torch.where(keep, (clean - centre) * scale + norm.bias, 0.0).to(rows.dtype)

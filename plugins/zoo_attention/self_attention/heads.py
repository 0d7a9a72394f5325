"""Heads: channels in equal parts that attend on their own."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import InvalidValue


def split_heads(row: Tensor, num_heads: int) -> Tensor:
    """Return tokens (N, L, C) as (N, heads, L, C / heads)."""
    return torch.unflatten(row, 2, (num_heads, -1)).transpose(1, 2)


def join_heads(heads: Tensor) -> Tensor:
    """Return heads (N, heads, L, d) as tokens, (N, L, heads d)."""
    rows = heads.transpose(1, 2)
    # What is exported may run where attention gives another layout, of which no view can be taken: so in ONNX.
    if torch.compiler.is_compiling():
        rows = rows.clone(memory_format=torch.contiguous_format)
    return rows.flatten(2)


def check_heads(module: object, channels: int, num_heads: int, *, name: str = "channels") -> None:
    """Refuse a number of channels that does not split into `num_heads` equal parts."""
    if channels % num_heads:
        fitting = [str(n) for n in range(1, min(channels, 16) + 1) if channels % n == 0]
        raise InvalidValue(
            f"{type(module).__name__}: {name} is {channels}, no multiple of num_heads {num_heads}."
            f" Choose num_heads from {', '.join(fitting)}."
        )

"""Convolution with a kernel of its own for each position, shared by groups of channels."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional


def convolve(x: Tensor, kernels: Tensor, kernel_size: int) -> Tensor:
    """Return the sum over neighbours, times the kernel of each position.

    One neighbour after the other: a map with all neighbours side by side would take `kernel_size`^ndim
    times the memory of x.

    Args:
        x: (N, groups, channels, *spatial), zeros where it must not be read. Outside there are zeros.
        kernels: (N, groups, kernel_size^ndim, *spatial), for each position the weights of its neighbours,
            row by row.
        kernel_size: Side of the neighbourhood, odd.

    Returns:
        (N, groups, channels, *spatial), in the dtype of x.
    """
    sides = x.shape[3:]
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x  # many terms are added
    half = kernel_size // 2
    padded = functional.pad(wide.flatten(1, 2), [half, half] * len(sides))
    padded = torch.unflatten(padded, 1, x.shape[1:3])
    y = torch.zeros_like(wide)
    offsets = product(range(kernel_size), repeat=len(sides))
    for offset, weight in zip(offsets, kernels.to(wide.dtype).unbind(2), strict=True):
        window = tuple(
            slice(start, start + side) for start, side in zip(offset, sides, strict=True)
        )
        near = padded[(slice(None), slice(None), slice(None), *window)]
        y = y.addcmul_(near, weight.unsqueeze(2))  # no gradient needs what y was
    return y.to(x.dtype)

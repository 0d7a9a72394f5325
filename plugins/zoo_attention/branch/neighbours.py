"""Convolution with a kernel of its own for each position, shared by groups of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from zoo_attention import eager


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
    half = kernel_size // 2
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x  # many terms are added
    padded = functional.pad(wide.flatten(1, 2), [half, half] * (x.ndim - 3))
    padded = torch.unflatten(padded, 1, x.shape[1:3])
    kernels = kernels.to(wide.dtype)
    if not eager.is_eager():
        return _read(padded, kernels, kernel_size, torch.addcmul).to(x.dtype)
    y: Tensor = _Read.apply(padded, kernels, kernel_size)
    return y.to(x.dtype)


def _read(
    padded: Tensor,
    kernels: Tensor,
    kernel_size: int,
    add: Callable[[Tensor, Tensor, Tensor], Tensor] = Tensor.addcmul_,
) -> Tensor:
    """Return the sum over neighbours of a padded map, by default in place, for which torch's vmap has no rule."""
    near, *others = _windows(padded, kernel_size)
    weight, *weights = kernels.unsqueeze(2).unbind(3)
    y = near * weight
    for near, weight in zip(others, weights, strict=True):
        y = add(y, near, weight)  # no gradient needs what y was
    return y


def _windows(padded: Tensor, kernel_size: int) -> Iterator[Tensor]:
    """Return the neighbours of all positions, offset by offset, row by row."""
    sides = [side - kernel_size + 1 for side in padded.shape[3:]]
    for offset in product(range(kernel_size), repeat=len(sides)):
        near = padded
        for axis, (start, side) in enumerate(zip(offset, sides, strict=True), 3):
            near = near.narrow(axis, start, side)
        yield near


class _Read(torch.autograd.Function):
    """`_read`, whose gradient of a window is added in place: autograd makes a padded map of each."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, kernels: Tensor, kernel_size: int) -> Tensor:
        ctx.save_for_backward(padded, kernels)
        ctx.kernel_size = kernel_size
        return _read(padded, kernels, kernel_size)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        padded, kernels = ctx.saved_tensors
        again = torch.is_grad_enabled()
        if again or eager.is_batch(grads[0]):  # for second derivatives: those of the plain sum
            wanted = [each for each in (padded, kernels) if each.requires_grad]
            with torch.enable_grad():
                y = _read(padded, kernels, ctx.kernel_size)
            found = iter(torch.autograd.grad(y, wanted, grads, create_graph=again))
            return *(next(found) if need else None for need in ctx.needs_input_grad[:2]), None
        for_padded, for_kernels = torch.zeros_like(padded), torch.empty_like(kernels)
        windows = (_windows(each, ctx.kernel_size) for each in (padded, for_padded))
        for place, (near, target) in enumerate(zip(*windows, strict=True)):
            target.addcmul_(grads[0], kernels[:, :, place].unsqueeze(2))
            torch.sum(grads[0] * near, 2, out=for_kernels[:, :, place])
        return for_padded, for_kernels, None

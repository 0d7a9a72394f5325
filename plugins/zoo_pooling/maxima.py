"""Maxima of a map along some axes, with a gradient at a quarter of the cost of `Tensor.amax`'s on a CPU.

It is the same gradient, shared among equal maxima. Torch makes it by way of a map of booleans, which its
kernels are slow to count and to multiply; here that map has the dtype of x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad


def amax(x: Tensor, axes: int | tuple[int, ...], *, keepdim: bool = False) -> Tensor:
    """Return the maximum along some axes."""
    pays = (
        x.requires_grad
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype != torch.float16  # which cannot count beyond 65,504
        and type(x) in (Tensor, nn.Parameter)
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0  # forwards there is none of ours
    )
    if not pays:
        return x.amax(axes, keepdim=keepdim)
    axes = (axes,) if isinstance(axes, int) else axes
    largest: Tensor = _Maximum.apply(x, axes)
    return largest if keepdim else largest.squeeze(axes)


class _Maximum(torch.autograd.Function):
    """The maximum along axes that stay, of size 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        largest = x.amax(axes, keepdim=True)
        ctx.axes = axes
        ctx.save_for_backward(x, largest)
        return largest

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        x, largest = ctx.saved_tensors
        is_largest = torch.empty_like(x, requires_grad=False)
        torch.eq(x.detach(), largest.detach(), out=is_largest)  # no slope of its own
        share = grads[0] / is_largest.sum(ctx.axes, keepdim=True)
        # Many gradients as one, as by `is_grads_batched`, have no place in a map.
        if torch.is_grad_enabled() or torch._C._functorch.is_legacy_batchedtensor(share):
            return is_largest * share, None
        return is_largest.mul_(share), None

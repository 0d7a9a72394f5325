"""A map times a gate over its channels, with a gradient that reads each map once.

What autograd makes of `x * gate(mean of x)` writes the product of x and the incoming gradient as a map, only to
add it up, and adds the gradient of the mean in a pass of its own. Here one pass gives the gate's gradient and
one the map's. Torch has no kernels of that name for CPUs, but its norms have them inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo_attention import eager, masking


def weigh_by_means(
    x: Tensor, mask: Tensor | None, gate: Callable[[Tensor], Tensor], *, is_wide: bool = False
) -> Tensor:
    """Return x (N, C, *spatial) times the gate (N, C) that is made of its means (N, C), in the dtype of x.

    The means are in the dtype of x, or with `is_wide` in at least float32.
    """
    if mask is not None or not _pays(x):
        return weigh(x, gate(masking.mean(x, mask, is_wide=is_wide)))
    link = _Link(is_wide=is_wide)
    same, means = _Means.apply(x, link)
    weighed: Tensor = _Weigh.apply(same, gate(means).to(x.dtype), x, link)
    return weighed


def weigh(x: Tensor, gate: Tensor) -> Tensor:
    """Return x (N, C, *spatial) times a gate (N, C), in the dtype of x."""
    if not _pays(x):
        return x * masking.spread(gate, x)
    weighed: Tensor = _Weigh.apply(x, gate.to(x.dtype), x, None)
    return weighed


def _pays(x: Tensor) -> bool:
    """Tell whether there will be a gradient to make here, backwards: compilers and transforms make their own."""
    return (
        torch.is_grad_enabled()
        and x.requires_grad
        and x.numel() > 0
        and x.device.type == "cpu"
        and x.is_contiguous()
        and type(x) in (Tensor, nn.Parameter)
        and eager.is_eager()
    )


class _Link:
    """What brings a gate to the gradient of the means. Without its graph: that would keep this link, and so itself."""

    gate: Tensor

    def __init__(self, *, is_wide: bool) -> None:
        self.is_wide = is_wide


class _Means(torch.autograd.Function):
    """x itself, for `_Weigh` alone, and its means."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, link: _Link) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.link = link
        ctx.shape = x.shape
        ctx.dtype = x.dtype
        return x.view_as(x), masking.mean(x, None, is_wide=link.is_wide)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, None]:
        weighed, means = grads
        if means is not None:
            means = means / math.prod(ctx.shape[2:])
        if weighed is not None and not torch.is_grad_enabled():
            return _scale(weighed, ctx.link.gate, means), None
        if means is None:
            return weighed, None
        each = means.to(ctx.dtype)[(..., *[None] * (len(ctx.shape) - 2))].expand(ctx.shape)
        return each if weighed is None else weighed + each, None


class _Weigh(torch.autograd.Function):
    """A map times a gate. With a link, its gradient is left to `_Means`: it is passed on as it comes.

    That is for first derivatives. Second ones go by x, the map once more, which `_Means` does not scale.
    """

    @staticmethod
    def forward(ctx: Any, same: Tensor, gate: Tensor, x: Tensor, link: _Link | None) -> Tensor:
        ctx.save_for_backward(x, gate)
        ctx.is_linked = link is not None
        if link is not None:
            link.gate = gate.detach()
        return same * masking.spread(gate, same)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, gate = ctx.saved_tensors
        for_same, for_gate = grads[0], None
        if ctx.needs_input_grad[1]:
            for_gate = _products(grads[0], x)
        if torch.is_grad_enabled() or not ctx.is_linked:
            for_same = grads[0] * masking.spread(gate, x)
        return for_same, for_gate, None, None


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Return the sum over space of a b, (N, C)."""
    is_plain = torch.is_grad_enabled() or eager.is_batch(a)
    if is_plain or not a.is_contiguous() or not b.is_contiguous():
        return (a * b).sum(tuple(range(2, b.ndim)))
    # The gradient of the scales of a group norm of mean 0 and deviation 1, each row a channel of one sample.
    rows = a.shape[0] * a.shape[1]
    scales = torch.ones(rows, dtype=_wide(a))
    zero, one = scales.new_zeros(1, 1), scales.new_ones(1, 1)
    flat, other = a.view(1, rows, -1), b.view(1, rows, -1)
    _, sums, _ = torch.ops.aten.native_group_norm_backward(
        flat, other, zero, one, scales, 1, rows, flat.shape[2], 1, [False, True, False]
    )
    return sums.view(a.shape[:2]).to(a.dtype)  # type: ignore[no-any-return]  # torch says Any


def _scale(a: Tensor, gate: Tensor, shift: Tensor | None) -> Tensor:
    """Return a times gate plus shift, if any, both (N, C)."""
    if shift is None:
        return a * masking.spread(gate, a)
    if eager.is_batch(a):
        return a * masking.spread(gate, a) + masking.spread(shift, a)
    if not a.is_contiguous():
        return torch.addcmul(masking.spread(shift, a), a, masking.spread(gate, a))
    # A batch norm of mean 0 and variance 1, each row a channel of one sample.
    rows = a.view(1, gate.numel(), -1)
    scale, shift = (each.to(_wide(a)).flatten() for each in (gate, shift))
    mean, variance = torch.zeros_like(scale), torch.ones_like(scale)
    normal = functional.batch_norm(rows, mean, variance, scale, shift, eps=0.0)
    return torch.ops.aten._unsafe_view(normal, a.shape)  # type: ignore[no-any-return]  # torch says Any


def _wide(x: Tensor) -> torch.dtype:
    """Return the dtype of what norms keep of maps like x."""
    return torch.promote_types(x.dtype, torch.float32)

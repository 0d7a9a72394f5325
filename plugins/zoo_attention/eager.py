"""Whether a call is an ordinary one, where a product may be written in place of a factor.

Inside of a transform of `torch.func` a tensor may say that it needs no gradient, while an outer one takes its own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_eager() -> bool:
    """Tell whether neither a compiler, a transform of `torch.func` nor forward mode is at work."""
    return (
        not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
    )


def is_batch(grad: Tensor) -> bool:
    """Tell whether a backward was given many gradients as one, as by `is_grads_batched`: few kernels take them."""
    found: bool = torch._C._functorch.is_legacy_batchedtensor(grad)
    return found


def multiply(x: Tensor, gate: Tensor, *, into: Tensor) -> Tensor:
    """Return a map x times a gate, in the layout of x.

    Args:
        x: (N, C, *spatial).
        gate: Of that shape, or one that spreads to it.
        into: One of both, as large as x and the caller's alone: the product is written over it where no
            gradient needs it and its layout is that of x.
    """
    if x.requires_grad or gate.requires_grad or into.stride() != x.stride() or not is_eager():
        return x * gate
    return into.mul_(gate if into is x else x)

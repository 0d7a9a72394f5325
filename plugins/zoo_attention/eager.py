"""Whether a call is an ordinary one, where a product may be written in place of a factor.

Inside of a transform of `torch.func` a tensor may say that it needs no gradient, while an outer one takes its own.
"""

from __future__ import annotations

import torch
from torch import Tensor


def is_eager() -> bool:
    """Tell whether neither a compiler nor a transform of `torch.func` is at work."""
    return not torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active()


def multiply(own: Tensor, other: Tensor) -> Tensor:
    """Return a product, written over a first factor that is the caller's alone where no gradient needs it."""
    if own.requires_grad or other.requires_grad or not is_eager():
        return own * other
    return own.mul_(other)

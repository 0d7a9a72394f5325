"""Building modules without drawing random numbers, for models whose weights come from a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# What nn.init and model code call to draw a tensor's values in place; `erfinv_` belongs to truncated normals.
_DRAWS = {
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    torch.Tensor.erfinv_,
    torch.Tensor.bernoulli_,
    torch.Tensor.exponential_,
}
_NEW_DRAWS = {torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal}
# Fills of nn.init that reach this mode as a whole: there is no need to compute their bounds.
_RANDOM_FILLS = {"uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_"}


class NoRandomInit(TorchFunctionMode):
    """Within this context in-place random fills leave their tensor as it is (memory never written).

    Holds for the current thread only. Constant fills (zeros, ones) and computed buffers are as always; new tensors of
    random values are drawn from a generator of this context. The global one stays where it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._generator = torch.Generator()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in _DRAWS:
            return args[0]
        if getattr(func, "__module__", None) == "torch.nn.init" and func.__name__ in _RANDOM_FILLS:
            return (kwargs or {}).get("tensor", args[0] if args else None)
        words = kwargs or {}
        if func in _NEW_DRAWS:
            device = torch.device(words.get("device") or torch.get_default_device())
            if device.type == "cpu":  # where alone such a generator can be used
                words = {"generator": self._generator, **words}
        return func(*args, **words)

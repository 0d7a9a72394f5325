"""Building a model that a stranger described, without more memory than it can need.

A spec of a few bytes can describe a model of terabytes. Its tensors would be compared with those of its
file and be refused, but only after they were made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from zoo.composition.initialization import NoRandomInit
from zoo.errors import WeightsError

# Beyond the tensors that a model keeps, building makes some that do not stay: a classifier that is
# replaced, a convolution whose place an attention takes, tables of positions.
_BYTES_TIMES, _BYTES_MORE = 4, 2**30
_LARGEST_VALUE = 16  # bytes, of a complex128
_TENSORS_TIMES, _TENSORS_MORE = 4, 2_000

_BY_SHAPE = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye}
_MAKERS = _BY_SHAPE | {
    torch.empty_strided,
    torch.full,
    torch.arange,
    torch.linspace,
    torch.logspace,
    torch.randperm,
    torch.Tensor.new_empty,
    torch.Tensor.new_zeros,
    torch.Tensor.new_ones,
    torch.Tensor.new_full,
}


class Allowance(NoRandomInit):
    """Within this context tensors are made up to a limit, and then none; nothing is drawn at random.

    Holds for what makes a tensor from its size or out of others, in the current thread.

    Args:
        source: The file that the model is built for, for messages.
        size: Bytes of tensors in it.
        tensors: Number of tensors in it.

    Raises:
        WeightsError: More is asked for than a model with such a file can need.
    """

    def __init__(self, source: str, size: int, tensors: int) -> None:
        super().__init__()
        self._source = source
        self._size = size
        self._bytes = _BYTES_TIMES * size + _BYTES_MORE
        self._tensors = _TENSORS_TIMES * tensors + _TENSORS_MORE

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Charge what makes a tensor, before it does, and look at what tensors may grow to."""
        if func in _MAKERS:
            self._charge(func, args, kwargs or {})
        elif _LARGEST_VALUE * _most_values((*args, *(kwargs or {}).values())) > self._bytes:
            self._foresee(func, args, kwargs or {})
        return super().__torch_function__(func, types, args, kwargs)

    def _charge(
        self, make: Callable[..., Any], args: tuple[Any, ...], words: dict[str, Any]
    ) -> None:
        if str(words.get("device")) == "meta":
            return
        self._tensors -= 1
        shape = args[0] if len(args) == 1 and isinstance(args[0], tuple) else args
        if make is torch.eye:
            shape = (args * 2)[:2]
        if make in _BY_SHAPE and shape and all(type(length) is int for length in shape):
            self._bytes -= prod(shape) * (words.get("dtype") or torch.get_default_dtype()).itemsize
        else:  # ask PyTorch, which takes longer
            with suppress(
                RuntimeError, TypeError, ValueError
            ):  # then making it fails, and says why
                self._bytes -= make(*args, **{**words, "device": "meta"}).nbytes
        if self._bytes < 0 or self._tensors < 0:
            raise self._refusal()

    def _foresee(
        self, func: Callable[..., Any], args: tuple[Any, ...], words: dict[str, Any]
    ) -> None:
        """Refuse what would make a tensor that is too large out of others, as broadcasting does."""
        if _new_bytes(func, args, words) > self._bytes:
            raise self._refusal()

    def _refusal(self) -> WeightsError:
        return WeightsError(
            f"{self._source} holds another model than its spec says: {self._size} bytes of tensors, and "
            "the spec describes many times as much. It is not built."
        )


def _new_bytes(func: Callable[..., Any], args: tuple[Any, ...], words: dict[str, Any]) -> int:
    """Memory that a call takes for its result; 0 where PyTorch cannot tell before."""
    given: list[Tensor] = []

    def without_memory(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        given.append(value.detach().to("meta"))
        return given[-1]

    try:
        made = func(*tree_map(without_memory, args), **tree_map(without_memory, words))
    except Exception:  # of what cannot be done without memory; doing it then says why
        return 0
    there = {tensor.untyped_storage()._cdata for tensor in given}
    new = {
        one.untyped_storage()._cdata: one for one in tree_leaves(made) if isinstance(one, Tensor)
    }
    return sum(one.untyped_storage().nbytes() for at, one in new.items() if at not in there)


def _most_values(given: Iterable[Any]) -> int:
    """So many values a result can have at most: as if all lengths were multiplied."""
    most = 1
    for value in given:
        if isinstance(value, Tensor):
            most *= max(1, value.numel())
        elif type(value) is int:
            most *= max(1, abs(value))
        elif isinstance(value, list | tuple):
            most *= _most_values(value)
    return most

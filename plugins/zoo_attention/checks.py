"""Checks of what a module is given. Each error names the module, the value and the rule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn, Protocol

import torch
from torch import Tensor, nn

from zoo import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Sequence


class Attention(Protocol):
    """What every attention module remembers of its construction."""

    channels: int
    ndim: int


def _refuse(module: object, name: str, value: object, rule: str) -> NoReturn:
    raise InvalidValue(f"{type(module).__name__}: {name} is {value!r}, but must be {rule}.")


def check_integer(module: object, name: str, value: object, *, least: int = 1) -> None:
    """Refuse `value` unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        _refuse(module, name, value, f"a whole number of at least {least}")


def check_odd(module: object, name: str, value: object) -> None:
    """Refuse `value` unless it is an odd whole number: a kernel that has a middle."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or value % 2 == 0:
        _refuse(module, name, value, "an odd whole number of at least 1")


def check_positive(module: object, name: str, value: object) -> None:
    """Refuse `value` unless it is a finite number above 0."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:  # type: ignore[operator]  # a number by now
        _refuse(module, name, value, "a finite number above 0")


def check_bool(module: object, name: str, value: object) -> None:
    """Refuse `value` unless it is True or False."""
    if not isinstance(value, bool):
        _refuse(module, name, value, "True or False")


def check_choice(module: object, name: str, value: object, choices: Sequence[object]) -> None:
    """Refuse `value` unless it is one of `choices`."""
    if value not in choices:
        _refuse(module, name, value, f"one of {', '.join(map(repr, choices))}")


def check_construction(module: object, channels: object, ndim: object) -> None:
    """Refuse a number of channels below 1 and a number of spatial dimensions other than 1 and 2."""
    check_integer(module, "channels", channels)
    if isinstance(ndim, bool) or ndim not in (1, 2):
        _refuse(module, "ndim", ndim, "1 for (N, C, L) or 2 for (N, C, H, W)")


def check_call(module: Attention, x: Tensor, mask: Tensor | None) -> None:
    """Refuse an input or mask that does not fit the `channels` and `ndim` of the module."""
    channels, ndim = module.channels, module.ndim
    if x.ndim != ndim + 2 or x.shape[1] != channels:
        letters = "L" if ndim == 1 else "H, W"
        _refuse(module, "the shape of x", tuple(x.shape), f"(N, {channels}, {letters})")
    if mask is None:
        return
    if mask.dtype != torch.bool:
        _refuse(module, "the dtype of mask", mask.dtype, "torch.bool, True where x is real")
    expected = (x.shape[0], *x.shape[2:])
    if tuple(mask.shape) != expected:
        _refuse(module, "the shape of mask", tuple(mask.shape), f"{expected}, that of x less C")


def check_batch_norm(module: nn.Module, x: Tensor, mask: Tensor | None) -> None:
    """Refuse to train a batch norm on one position or none: it has no variance.

    How many positions a mask leaves is not looked at: that would wait for the device and break a compiled
    graph. `normalizing.batch_norm` uses its running statistics where it leaves less than two.
    """
    if not module.training or mask is not None:
        return
    positions = x.shape[0] * math.prod(x.shape[2:])
    if positions < 2:
        _refuse(
            module,
            "the number of positions in the batch",
            positions,
            "at least 2 to train its batch norm; give it more, or call eval()",
        )

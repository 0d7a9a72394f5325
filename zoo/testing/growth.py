"""Order of growth: work and memory against the number of positions, counted and not timed."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from zoo.testing.outcomes import Failed, Outcome, Passed, Skipped
from zoo.testing.subject import Scoring, Subject

SIZES = {1: ((256,), (1024,)), 2: ((16, 16), (32, 32))}


class Tally(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own class hook has no types
    """Counts the values that operations make: all of them, and those of the largest."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.total = 0
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count its output."""
        del types
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self.total += tensor.numel()
                self.largest = max(self.largest, tensor.numel())
        return out


def growth(subject: Subject) -> Outcome:
    """Count at two sizes, one with four times the positions. What says nothing is linear, self-attention apart."""
    module = subject.build()
    default = None if subject.component.family == "self" else 1
    order = getattr(module.head if isinstance(module, Scoring) else module, "growth", default)
    if order is None:
        return Skipped("its class declares no `growth` (1: linear in the positions, 2: quadratic)")
    small, large = (_count(subject, module, size) for size in SIZES[subject.ndim])
    found = [math.log(after / before, 4) for before, after in zip(small, large, strict=True)]
    for what, power in zip(("work", "memory"), found, strict=True):
        if power > order + 0.25:
            expected = f"{what} to grow with the positions to the power of {order:g}, its `growth`"
            return Failed(expected, f"{power:.2f}")
    if max(found) < order - 0.5:
        return Failed(f"`growth = {order:g}` to be needed", f"a power of {max(found):.2f} at most")
    return Passed()


def _count(subject: Subject, module: nn.Module, size: tuple[int, ...]) -> tuple[float, float]:
    x = subject.draw(size, batch=1)
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        subject.run(module, x)
    with torch.no_grad(), Tally() as tally:
        subject.run(module, x)
    return flops.get_total_flops() + tally.total, tally.largest

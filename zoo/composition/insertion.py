"""Puts attentions into the slots of a backbone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.composition.slots import Slot
from zoo.errors import InvalidSpec, UnknownName
from zoo.spec import SLOTS, Placement


class After(nn.Module):
    """A module of a backbone, and the attention that takes its output.

    Attributes that the backbone's own code looks up on the module are still found.
    """

    def __init__(
        self, module: nn.Module, attention: nn.Module, *, channels_last: bool = False
    ) -> None:
        super().__init__()
        self.module = module
        self.attention = attention
        self.channels_last = channels_last

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Apply the module, then the attention."""
        result: Tensor = self.module(*args, **kwargs)
        if self.channels_last:  # (N, *spatial, C)
            return self.attention(result.movedim(-1, 1)).movedim(1, -1)  # type: ignore[no-any-return]
        return self.attention(result)  # type: ignore[no-any-return]  # a module's call is untyped

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("__"):  # such as how it is copied, which is its own matter
                raise
            return getattr(super().__getattr__("module"), name)


class Chain(nn.Module):
    """Several attentions in one slot, in order."""

    def __init__(self, attentions: Iterable[nn.Module]) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(attentions)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Apply each to the output of the one before."""
        for attention in self.attentions:
            x = attention(x) if mask is None else attention(x, mask)
        return x


class IdentityStart(nn.Module):
    """An attention that is eased in: y + gate * (attention(x) - y), with a gate that starts at 0.

    y is what was there before: x itself or, where the attention takes the place of a convolution, the
    output of that convolution.
    """

    def __init__(self, attention: nn.Module, original: nn.Module | None = None) -> None:
        super().__init__()
        self.attention = attention
        self.original = original
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return exactly y while the gate is 0."""
        y = x if self.original is None else self.original(x)
        attended = self.attention(x) if mask is None else self.attention(x, mask)
        eased: Tensor = y + self.gate.to(y.dtype) * (attended - y)
        return eased


class Resized(nn.Module):
    """An attention in place of a convolution: brought to that convolution's stride and channels."""

    def __init__(self, attention: nn.Module, slot: Slot, *, ndim: int) -> None:
        super().__init__()
        self.attention = attention
        self.stride, self.ndim = slot.stride, ndim
        width = slot.out_channels or slot.channels
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        self.project = (
            nn.Identity() if width == slot.channels else conv(slot.channels, width, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, *spatial) to (N, out_channels, *spatial / stride, rounded up)."""
        x = self.attention(x)
        if self.stride != 1:
            pool = F.avg_pool1d if self.ndim == 1 else F.avg_pool2d
            x = pool(x, self.stride, ceil_mode=True)
        projected: Tensor = self.project(x)
        return projected


def select(placement: Placement, slots: Sequence[Slot], *, backbone: str, where: str) -> list[Slot]:
    """Return the slots that a placement picks, in the backbone's order.

    Raises:
        UnknownName: The backbone has no slot of that kind.
        InvalidSpec: A stage or block does not exist.
    """
    offered = [slot for slot in slots if slot.kind == placement.slot]
    if not offered:
        kinds = [kind for kind in SLOTS if kind == "last" or any(s.kind == kind for s in slots)]
        raise UnknownName(
            f"{where}: {backbone} has no slot {placement.slot!r}. It has: {', '.join(kinds)}."
        )
    if placement.slot == "stage" and placement.blocks != "all":
        raise InvalidSpec(f"{where}: the slot 'stage' is one place a stage; leave 'blocks' out.")
    stages = sorted({slot.stage for slot in offered})
    chosen = _count(
        placement.stages, stages, f"{where}.stages", f"stages of {backbone} with this slot"
    )
    picked = []
    for stage in chosen:
        of_stage = [slot for slot in offered if slot.stage == stage]
        if placement.slot == "stage":
            picked += of_stage
            continue
        blocks = sorted({slot.block for slot in of_stage if slot.block is not None})
        wanted = _blocks(
            placement.blocks, blocks, where=where, of=f"blocks of stage {stage} of {backbone}"
        )
        picked += [slot for slot in of_stage if slot.block in wanted]
    if not picked:
        raise InvalidSpec(
            f"{where}: 'stages' and 'blocks' pick no place at all; there are {len(offered)} of this slot."
        )
    return picked


def _blocks(choice: Any, blocks: list[int], *, where: str, of: str) -> list[int]:
    if choice == "all":
        return blocks
    if choice == "first":
        return blocks[:1]
    if choice == "last":
        return blocks[-1:]
    if isinstance(choice, dict):
        step = choice.get("every", 0)
        if step < 1:
            raise InvalidSpec(f"{where}.blocks: every {step!r} is not at least 1.")
        return blocks[step - 1 :: step]
    return _count(choice, blocks, f"{where}.blocks", of)


def _count(choice: Sequence[int] | None, numbers: list[int], where: str, of: str) -> list[int]:
    """Resolve numbers counted from 1, or negative from the end."""
    if choice is None:
        return numbers
    wanted = []
    for number in choice:
        resolved = numbers[number] if -len(numbers) <= number < 0 else number
        if resolved not in numbers:
            raise InvalidSpec(f"{where}: there is no {number} among the {of}: {numbers}.")
        wanted.append(resolved)
    return sorted(set(wanted))


def insert(
    backbone: nn.Module, slot: Slot, attentions: Sequence[tuple[nn.Module, Placement]], *, ndim: int
) -> None:
    """Put attentions, in order, at one slot of a backbone."""
    there = backbone.get_submodule(slot.path)
    modules = [
        _started(attention, placement, slot, there, ndim) for attention, placement in attentions
    ]
    inserted = modules[0] if len(modules) == 1 else Chain(modules)
    if slot.how == "after":
        inserted = After(there, inserted, channels_last=slot.layout == "channels_last")
    parent, _, name = slot.path.rpartition(".")
    setattr(backbone.get_submodule(parent), name, inserted)


def _started(
    attention: nn.Module, placement: Placement, slot: Slot, there: nn.Module, ndim: int
) -> nn.Module:
    identity = placement.start == "identity"
    if slot.how != "replace":
        return IdentityStart(attention) if identity else attention
    if slot.stride != 1 or slot.out_channels not in (None, slot.channels):
        attention = Resized(attention, slot, ndim=ndim)
    return IdentityStart(attention, there) if identity else attention

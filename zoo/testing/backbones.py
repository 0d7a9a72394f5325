"""What a backbone says of itself: its stages, its attributes, its slots."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.composition.slots import Slot
from zoo.spec import SLOTS
from zoo.testing.outcomes import Failed, Outcome, Passed
from zoo.testing.subject import Subject, difference


def stages(subject: Subject) -> Outcome:
    """Compare the maps of the stages with the last one."""
    module, x = subject.build(), subject.draw()
    last = subject.run(module, x)
    torch.manual_seed(0)
    maps = module.forward_stages(x.clone())
    if not isinstance(maps, list) or not maps:
        return Failed("a list of maps, one a stage", repr(type(maps).__name__))
    if gap := difference(maps[-1], last):
        return Failed("the last of `forward_stages` to be what `forward` gives", gap)
    return Passed()


def slots(subject: Subject) -> Outcome:
    """Watch what passes at each slot."""
    module = subject.build()
    listed = module.slots()
    for slot in listed:
        if not isinstance(slot, Slot) or slot.kind not in SLOTS:
            return Failed("a list of zoo.Slot", repr(slot))
        try:
            module.get_submodule(slot.path)
        except AttributeError:
            return Failed(f"a sub-module {slot.path!r} for the slot {slot.kind!r}", "there is none")
    for slot, width in zip(listed, _widths(subject, module, listed), strict=True):
        if width != slot.channels:
            seen = "nothing passes there" if width is None else f"{width} channels"
            return Failed(f"{slot.channels} channels at {slot.path!r} ({slot.kind})", seen)
    return Passed()


def _widths(subject: Subject, module: nn.Module, listed: list[Slot]) -> list[int | None]:
    seen: list[int | None] = [None] * len(listed)
    handles = []

    def watch(number: int, slot: Slot) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            tensor = output if slot.how == "after" else args[0]
            if isinstance(tensor, Tensor):
                seen[number] = tensor.shape[1]

        return hook

    for number, slot in enumerate(listed):
        handles.append(module.get_submodule(slot.path).register_forward_hook(watch(number, slot)))
    try:
        subject.run(module, subject.draw())
    finally:
        for handle in handles:
            handle.remove()
    return seen

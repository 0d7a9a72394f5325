"""A small backbone, attention and head for composing a model around what is tested, whatever is installed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.component import Component
from zoo.composition.slots import Slot
from zoo.plugins import Catalog
from zoo.testing.subject import Subject

HOST, GATE, HEAD = "kit_backbone", "kit_gate", "kit_head"


class Place(nn.Module):
    """Where an attention can stand."""

    def forward(self, x: Tensor, _mask: Tensor | None = None) -> Tensor:
        """Return x."""
        return x


class HostBackbone(nn.Module):
    """One convolution and a slot behind it, at the size of the input."""

    def __init__(self, in_channels: int, *, ndim: int = 2, width: int = 16) -> None:
        super().__init__()
        self.ndim, self.num_features = ndim, width
        self.conv = (nn.Conv1d if ndim == 1 else nn.Conv2d)(in_channels, width, 3, padding=1)
        self.after = Place()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (N, in_channels, *spatial) to (N, width, *spatial)."""
        y: Tensor = self.after(self.conv(x), mask)
        return y

    def forward_stages(self, x: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return the only map."""
        return [self.forward(x, mask)]

    def downsample_mask(self, mask: Tensor) -> Tensor:
        """The mask as it is."""
        return mask

    def slots(self) -> list[Slot]:
        """List the one place, as `stage`."""
        return [Slot(kind="stage", path="after", how="fill", channels=self.num_features, stage=1)]


class Gate(nn.Module):
    """A gate for each channel: an attention that changes what it gets."""

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()
        self.ndim = ndim
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, _mask: Tensor | None = None) -> Tensor:
        """Return half of x at the start."""
        return x * torch.sigmoid(self.weight)[(..., *[None] * self.ndim)]


class Mean(nn.Module):
    """The mean over positions."""

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()
        self.out_features, self.ndim = channels, ndim

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to (N, C)."""
        return x.flatten(2).mean(2)


def catalog(subject: Subject) -> Catalog:
    """The component under test, and what is needed around it."""
    offers = Catalog(())
    for kind, name, cls in (
        ("backbone", HOST, HostBackbone),
        ("attention", GATE, Gate),
        ("head", HEAD, Mean),
    ):
        family = "channel" if kind == "attention" else None
        offers.register(Component(kind=kind, name=name, target=cls, family=family))
    offers.register(subject.component)
    return offers


def blocks(subject: Subject, *, start: str | None = None) -> dict[str, Any]:
    """The blocks of a spec around what is tested; `start` of the attention in it, None for no attention."""
    kind = "image" if subject.ndim == 2 else "sequence"
    found: dict[str, Any] = {"backbone": {"name": HOST, "ndim": subject.ndim}, "head": HEAD}
    found["input"] = {"kind": kind, "channels": 3}
    own = {"name": subject.component.name, **subject.options}
    if subject.kind == "backbone":
        if "ndim" not in own and not hasattr(subject.component.load(), "ndim"):
            own["ndim"] = subject.ndim
        own["name"] = own["name"].replace("*", str(own.pop("architecture", "")))
        found["backbone"] = own
        found["input"] = _input_block(subject)
    elif subject.kind == "attention":
        found["backbone"]["width"] = subject.channels
    else:
        found["backbone"]["width"] = subject.channels
        found["head"] = own
    if start is not None and subject.kind == "attention":
        found["attention"] = [{**own, "slot": "stage", **_started(start)}]
    return found


def _input_block(subject: Subject) -> dict[str, Any]:
    if not subject.takes_tokens:
        return {"channels": subject.channels, **subject.input}
    words = [f"word{number}" for number in range(subject.channels - 2)]  # and padding, and unknown
    return {**subject.input, "vocabulary": words}


def _started(start: str) -> dict[str, str]:
    return {"start": start} if start else {}

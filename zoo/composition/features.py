"""Feature maps instead of class scores, for detectors and segmenters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from zoo.composition.model import Model, check_input
from zoo.composition.modes import evaluating, keep_statistics
from zoo.errors import InvalidValue
from zoo.spec import AudioInput, TextInput


class Features(nn.Module):
    """The feature maps of a model's stages, as a list; see `Model.features_only`.

    Attributes:
        feature_info: Channels and reduction of each map, as `Model.feature_info` gives them.
    """

    def __init__(self, model: Model, out_indices: Sequence[int] | int | None) -> None:
        super().__init__()
        info = model.feature_info
        self.out_indices = stage_indices(out_indices, len(info))
        self.feature_info = StageInfo(info[i] for i in self.out_indices)
        self.backbone = model.backbone
        self.last = model.last if len(info) - 1 in self.out_indices else None
        self.training = model.training
        self._input = model.spec.input

    def train(self, mode: bool = True) -> Features:  # noqa: FBT001, FBT002 - torch's signature
        """Set training mode; norms that `zoo.freeze` froze keep their statistics."""
        super().train(mode)
        keep_statistics(self)
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map an input to the maps of the chosen stages.

        Raises:
            InvalidValue: It is not what the model takes.
        """
        check_input(self._input, x)
        maps: list[Tensor] = self.backbone.forward_stages(x)  # type: ignore[operator]  # contract of a backbone
        if self.last is not None:
            maps = [*maps[:-1], self.last(maps[-1])]
        return [maps[i] for i in self.out_indices]


class StageInfo(list[dict[str, Any]]):
    """What is known of the maps of stages: one mapping each, and columns of it by the methods that timm has."""

    def channels(self) -> list[int]:
        """Channels of each map."""
        return [stage["num_chs"] for stage in self]

    def reduction(self) -> list[int]:
        """By what each map divides the input's size."""
        return [stage["reduction"] for stage in self]


def stage_indices(indices: Sequence[int] | int | None, stages: int) -> list[int]:
    """Resolve stage numbers that count from 0, or from the end with negative numbers; a number N means the last N.

    Raises:
        InvalidValue: There is no such stage, or these are no numbers.
    """
    if type(indices) is int and 0 < indices <= stages:
        indices = range(stages - indices, stages)
    if indices is not None and not (
        isinstance(indices, Sequence) and all(isinstance(index, int) for index in indices)
    ):
        raise InvalidValue(
            f"The stages are {indices!r:.80}; give their numbers, such as [0, 2] or [-1], or how many of the last "
            f"ones of {stages}."
        )
    wanted = range(stages) if indices is None else indices
    for index in wanted:
        if not -stages <= index < stages:
            raise InvalidValue(
                f"There is no stage {index}; the backbone has {stages}, counted from 0."
            )
    return [index % stages for index in wanted]


# Of what is measured: so large, and so often to be halved, that rounding up hides no reduction.
_LARGE = (256, 256)
_SECONDS = 10


def measure_stages(model: Model) -> StageInfo:
    """Run an empty input through the backbone and read channels and reduction off its maps."""
    with evaluating(model), torch.no_grad():
        x, maps = _maps(model)
    return StageInfo(
        {
            "num_chs": one.shape[1],
            "reduction": round(x.shape[-1] / one.shape[-1]),
            "module": f"stage {number}",
        }
        for number, one in enumerate(maps, 1)
    )


def _maps(model: Model) -> tuple[Tensor, list[Tensor]]:
    """One sample of zeros, and the maps of all stages for it."""
    stages: Callable[[Tensor], list[Tensor]] = model.backbone.forward_stages  # type: ignore[assignment]  # contract of a backbone
    usual = getattr(model.spec.input, "size", None)
    if usual is not None:
        with suppress(Exception):  # it takes its own size alone
            x = _zeros(model, _LARGE)
            return x, stages(x)
    x = _zeros(model, usual or _LARGE)
    return x, stages(x)


def _zeros(model: Model, size: tuple[int, ...]) -> Tensor:
    """One sample; `size` is of an image."""
    block = model.spec.input
    weight = next(model.parameters())
    if isinstance(block, TextInput):
        return torch.zeros(1, 64, dtype=torch.long, device=weight.device)
    if isinstance(block, AudioInput):
        size = (_SECONDS * block.sample_rate,)
    return torch.zeros(
        1, block.channels, *size[-model.ndim :], dtype=weight.dtype, device=weight.device
    )

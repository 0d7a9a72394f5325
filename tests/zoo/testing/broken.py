"""Modules that are broken on purpose, one for each property, each in one way only."""

# ruff: noqa: D101, D102 - the names say what is broken
from __future__ import annotations

from dataclasses import replace
from functools import wraps

import torch
from torch import Tensor, nn

from zoo import AttentionMap, InvalidValue, Slot


class Sound(nn.Module):
    """A channel gate with nothing wrong; the broken ones change one thing each."""

    growth = 1
    honours_masks = True

    def __init__(self, channels: int, *, ndim: int = 2, scale: float = 1.0) -> None:
        super().__init__()
        self.ndim, self.scale = ndim, scale
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return x * self.spread(self.gate(x, mask)).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        return AttentionMap(channel=self.gate(x, mask))

    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return torch.sigmoid(self.mean(x, mask) * self.weight * self.scale)

    def mean(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return x.flatten(2).mean(2)
        real = mask.unsqueeze(1).flatten(2)
        return torch.where(real, x.flatten(2), 0.0).sum(2) / real.sum(2).clamp(min=1)

    def spread(self, weights: Tensor) -> Tensor:
        return weights[(..., *[None] * self.ndim)]


class Unmasked(Sound):
    """A gate that honours no mask, to break in ways that a mask would show as well."""

    honours_masks = False


class CannotBeBuilt(Sound):
    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        raise RuntimeError("no luck")


class PositionalOption(Sound):
    def __init__(self, channels: int, scale: float = 1.0, *, ndim: int = 2) -> None:
        super().__init__(channels, ndim=ndim, scale=scale)


def forgetful(init):
    """Decorate a constructor with one that does not hand its options on."""

    @wraps(init)
    def construct(self, channels: int, *, ndim: int = 2) -> None:
        init(self, channels, ndim=ndim)

    return construct


class RefusesItsDefault(Sound):
    __init__ = forgetful(Sound.__init__)


class TakesAnything(Sound):
    def __init__(self, channels: int, *, ndim: int = 2, **options: object) -> None:
        super().__init__(channels, ndim=ndim)


class ReservedOption(Sound):
    def __init__(self, channels: int, *, ndim: int = 2, start: float = 1.0) -> None:
        super().__init__(channels, ndim=ndim, scale=start)


class Summary(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.gate(x, mask)


class AlwaysFloat32(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(x, mask).float()


class LosesDtypeUnderAutocast(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y = super().forward(x, mask)
        return y.to(torch.bfloat16) if torch.is_autocast_enabled("cpu") else y


class StaysOnCpu(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return super().gate(x, mask) * torch.ones(x.shape[1], dtype=x.dtype, device="cpu")


class SizeBakedIn(Sound):
    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__(channels, ndim=ndim)
        self.positions = nn.Parameter(torch.zeros(*[8] * ndim))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(x, mask) + self.positions.to(x.dtype)


class NanOnOnePosition(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        gate = super().gate(x, mask)
        freedom = gate.new_ones(()) * (x[0, 0].numel() - 1)
        return gate * freedom / freedom


class NeedsABatch(Unmasked):
    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__(channels, ndim=ndim)
        self.norm = nn.BatchNorm1d(channels)

    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return torch.sigmoid(self.norm(self.mean(x, mask)) * self.weight)


class NeedsManyChannels(Unmasked):
    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__(channels, ndim=ndim)
        self.norm = nn.GroupNorm(16, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return (self.norm(x) * self.spread(self.weight)).to(x.dtype)


class NeedsContiguous(Sound):
    def mean(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return super().mean(x.view(x.shape[0], -1).view(x.shape), mask)


class ParameterOfFiveAxes(Sound):
    def __init__(self, channels: int, *, ndim: int = 2, scale: float = 1.0) -> None:
        super().__init__(channels, ndim=ndim, scale=scale)
        self.kernels = nn.Parameter(torch.ones(1, 1, channels, 1, 1))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(x, mask) * self.kernels.view(1, -1, *[1] * self.ndim).to(x.dtype)


class WritesOnItsInput(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x.clamp_(min=0)
        return super().forward(x, mask)


class DropsInEval(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return nn.functional.dropout(super().forward(x, mask), 0.5, training=True)


class SoftmaxOverTheBatch(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return (self.mean(x, mask) * self.weight).softmax(0)


class SeesItsNeighbours(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        mean = self.mean(x, mask)
        return torch.sigmoid(self.weight * (mean - mean.mean(0)))


class DividesByTheBatch(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return super().gate(x, mask) / x.shape[0]


class ForgetsABuffer(Sound):
    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__(channels, ndim=ndim)
        self.register_buffer("factor", torch.rand(channels), persistent=False)

    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return super().gate(x, mask) * self.factor


class KeepsAGraph(Sound):
    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__(channels, ndim=ndim)
        self.kept: list[Tensor] = []

    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        gate = super().gate(x, mask)
        if not torch.compiler.is_compiling():
            self.kept = [gate]
        return gate


class PlainList(Sound):
    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__(channels, ndim=ndim)
        self.layers = [nn.Linear(channels, channels)]

    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return torch.sigmoid(self.layers[0](self.mean(x, mask)) * self.weight)


class MadeAnew(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        self.weight = nn.Parameter(self.weight.detach().clone())
        return super().gate(x, mask)


class CutByData(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return torch.sigmoid(self.mean(x, mask) * self.weight.data)


class NoEpsilon(Unmasked):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        length = x.square().mean(1, keepdim=True).sqrt()
        return (self.spread(self.weight) * x / length).to(x.dtype)


class MapOfTheWrongForm(Sound):
    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        return AttentionMap(channel=self.spread(self.gate(x, mask)))


class GateWithoutSigmoid(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.mean(x, mask) * self.weight


class AnotherFormulaWithMask(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return super().gate(x, mask) * (1.0 if mask is None else 0.5)


class IgnoresTheMask(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return super().gate(x, None)


class CutByMask(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        gate = super().gate(x, mask)
        return gate if mask is None else gate.detach()


class DividesByNoPositions(Sound):
    def mean(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return x.flatten(2).mean(2)
        real = mask.unsqueeze(1).flatten(2)
        return torch.where(real, x.flatten(2), 0.0).sum(2) / real.sum(2)


class MultipliesByTheMask(Sound):
    def mean(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return x.flatten(2).mean(2)
        real = mask.unsqueeze(1).flatten(2)
        return (x.flatten(2) * real).sum(2) / real.sum(2).clamp(min=1)


class LearnsFromPadding(Sound):
    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__(channels, ndim=ndim)
        self.norm = (nn.BatchNorm1d if ndim == 1 else nn.BatchNorm2d)(channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if x.shape[0] * x[0, 0].numel() == 1:
            raise InvalidValue("One position has no variance.")
        return super().forward(self.norm(x), mask)


class LooksAtTheMask(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(x, None if mask is None or bool(mask.all()) else mask)


class MapWithoutTheMask(Sound):
    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        return AttentionMap(channel=self.gate(x, None))


class OtherRoadWithoutGradients(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y = super().forward(x, mask)
        return y if torch.is_grad_enabled() else y / 2


class UnknownToOnnx(Sound):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        gate = super().gate(x, mask)
        return gate + 0 * torch.special.bessel_j0(gate.detach().float()).to(gate.dtype)


class BranchesOnValues(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y = super().forward(x, mask)
        return y if x.is_meta or float(x.detach().sum()) != 0.123 else y + 1


class BreaksTheGraph(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            torch._dynamo.graph_break()
        return super().forward(x, mask)


class NothingOverNothing(Sound):
    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__(channels, ndim=ndim)
        self.weight = nn.Parameter(torch.zeros(channels))

    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return torch.sigmoid(self.mean(x, mask) * self.weight / self.weight.abs().sum())


class StateThatIsNoTensor(Sound):
    def get_extra_state(self) -> object:
        return {"words": "not a tensor"}

    def set_extra_state(self, state: object) -> None:
        pass


class ComparesAllPairs(Unmasked):
    def gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        flat = x.flatten(2).clamp(-1, 1)  # (N, C, L)
        pairs = flat.transpose(1, 2) @ flat  # (N, L, L)
        return torch.sigmoid(super().gate(x, None) + pairs.mean((1, 2)).unsqueeze(1) / x.shape[1])


class SaysMoreThanItGrows(Sound):
    growth = 2


class Backbone(nn.Module):
    """A backbone with nothing wrong."""

    def __init__(self, in_channels: int, *, ndim: int = 2, width: int = 4) -> None:
        super().__init__()
        self.ndim, self.num_features = ndim, width
        self.conv = (nn.Conv1d if ndim == 1 else nn.Conv2d)(in_channels, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)

    def forward_stages(self, x: Tensor) -> list[Tensor]:
        return [self.forward(x)]

    def slots(self) -> list[Slot]:
        return [Slot(kind="stage", path="conv", how="after", channels=self.num_features, stage=1)]


def with_part_called(name: str) -> type[nn.Module]:
    """A sound backbone with a part of that name, inside of which its slot is."""

    class Nested(Backbone):
        def __init__(self, in_channels: int, *, ndim: int = 2) -> None:
            super().__init__(in_channels, ndim=ndim)
            self.add_module(name, nn.Sequential(self.conv))
            del self.conv

        def forward(self, x: Tensor) -> Tensor:
            return self.get_submodule(name)(x)

        def slots(self) -> list[Slot]:
            slot = super().slots()[0]
            return [replace(slot, path=f"{name}.0")]

    return Nested


class StagesOutOfOrder(Backbone):
    def forward_stages(self, x: Tensor) -> list[Tensor]:
        return [self.forward(x), x]


class SlotOfAnotherWidth(Backbone):
    """Says the channels before its convolution where those behind it pass."""

    def slots(self) -> list[Slot]:
        return [Slot(kind="block", path="conv", how="after", channels=3, stage=1, block=1)]


class Head(nn.Module):
    """A pooling head with nothing wrong."""

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()
        self.out_features = channels

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(2)


class HeadOfAnotherWidth(Head):
    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__(channels)
        self.out_features = 2 * channels


class Scorer(Head):
    """A head that classifies before it pools, with nothing wrong."""

    def make_classifier(self, num_classes: int) -> nn.Module:
        return nn.Linear(self.out_features, num_classes)

    def forward(self, x: Tensor, *, classifier: nn.Module | None = None) -> Tensor:
        if classifier is None:
            return super().forward(x)
        return classifier(x.flatten(2).transpose(1, 2)).amax(1).to(x.dtype)


class ScoresWithoutClasses(Scorer):
    """Gives the map where features are asked for."""

    def forward(self, x: Tensor, *, classifier: nn.Module | None = None) -> Tensor:
        return x if classifier is None else super().forward(x, classifier=classifier)

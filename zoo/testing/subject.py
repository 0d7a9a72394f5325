"""What is under test: a component with its options and number of axes, and what to feed it."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from zoo.component import Component
from zoo.errors import InvalidValue

Size = tuple[int, ...]
HOME: dict[int, Size] = {1: (8,), 2: (8, 8)}
OTHER_SIZES: dict[int, list[Size]] = {1: [(2,), (7,), (16,)], 2: [(1, 6), (3, 5), (7, 7), (9, 4)]}
# A backbone gets an input, not a map: by its kind, the size to work at and others to try.
INPUTS: dict[str, tuple[Size, list[Size]]] = {
    "image": ((32, 32), [(33, 47), (40, 32)]),
    "sequence": ((32,), [(33,), (47,)]),
    "audio": ((4000,), [(4001,), (2500,)]),
    "text": ((16,), [(5,), (19,)]),
}
USUAL_CHANNELS = (8, 16, 64, 96)


@dataclass(frozen=True)
class Subject:
    """A component under test, for one number of spatial dimensions.

    Attributes:
        component: What is tested; its kind is set.
        ndim: 1 for (N, C, L), 2 for (N, C, H, W).
        options: Options that it is built with.
        input: For a backbone, the input block that it asks for.
        channels: The width that it is tested with.
    """

    component: Component
    ndim: int
    options: dict[str, Any]
    input: dict[str, Any] = field(default_factory=dict)
    channels: int = 16

    @property
    def kind(self) -> str:
        """`backbone`, `attention` or `head`."""
        return self.component.kind

    @property
    def home(self) -> Size:
        """The one size that all properties use which are not about sizes."""
        if self.kind != "backbone":
            return HOME[self.ndim]
        return tuple(self.input.get("size") or INPUTS[self.input["kind"]][0])

    @property
    def other_sizes(self) -> list[Size]:
        """Sizes that are odd, not square, or larger."""
        if self.kind != "backbone":
            return OTHER_SIZES[self.ndim]
        return INPUTS[self.input["kind"]][1]

    @property
    def one_position(self) -> Size:
        """The smallest size there is."""
        return (1,) * len(self.home)

    @property
    def takes_tokens(self) -> bool:
        """Whether it is fed whole numbers: no gradient, no dtype to speak of."""
        return self.input.get("kind") == "text"

    def make(self, channels: int | None = None, *, from_seed: int = 0, **options: Any) -> Any:
        """Build the component as it is at its start."""
        own = (
            {}
            if self.kind == "backbone" and not takes(self.component, "ndim")
            else {"ndim": self.ndim}
        )
        torch.manual_seed(from_seed)
        width = self.channels if channels is None else channels
        module = self.component.load()(width, **{**own, **self.options, **options})
        return Scoring(module) if hasattr(module, "make_classifier") else module

    def build(self, channels: int | None = None, **options: Any) -> Any:
        """Build it in eval mode, moved off its start: a gate that starts at 0 would hide what is behind it."""
        module = self.make(channels, **options).eval()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.is_floating_point() and _is_constant(parameter):
                    parameter.add_(0.3 * torch.randn_like(parameter))
        return module

    def draw(
        self,
        size: Size | None = None,
        *,
        batch: int = 2,
        channels: int | None = None,
        seed: int = 1,
    ) -> Tensor:
        """Draw an input: (N, C, *size) normal values, or (N, L) token numbers."""
        size = size or self.home
        width = self.channels if channels is None else channels
        generator = torch.Generator().manual_seed(seed)
        if self.takes_tokens:
            return torch.randint(1, width, (batch, *size), generator=generator)
        return torch.randn(batch, width, *size, generator=generator)

    def run(self, module: nn.Module, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Call it on a copy of x, always from the same state of the random generator."""
        torch.manual_seed(0)
        y: Tensor = module(x.clone()) if mask is None else module(x.clone(), mask)
        return y

    def at(self, module: Any, mask: Tensor) -> Tensor:
        """The mask (N, *spatial) at the size of what comes out."""
        found: Tensor = module.downsample_mask(mask) if self.kind == "backbone" else mask
        return found


class Scoring(nn.Module):
    """A head that classifies before it pools, with a classifier that it made, as a model calls both."""

    def __init__(self, head: Any, num_classes: int = 5) -> None:
        super().__init__()
        self.head = head
        self.classifier = head.make_classifier(num_classes)
        self.out_features = num_classes

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (N, C, *spatial) to (N, num_classes)."""
        masks = () if mask is None else (mask,)
        y: Tensor = self.head(x, *masks, classifier=self.classifier)
        return y


def subjects(component: Component, options: dict[str, Any]) -> list[Subject]:
    """Return what is to be tested of a component: one subject for each number of spatial dimensions."""
    if component.kind != "backbone":
        ndims = (options["ndim"],) if "ndim" in options else component.ndims
        rest = {name: value for name, value in options.items() if name != "ndim"}
        found = [Subject(component, ndim, rest) for ndim in ndims]
        return [_with_width(subject) for subject in found]
    cls = component.load()
    asked = dict(cls.default_input(**options)) if hasattr(cls, "default_input") else {}
    variable = takes(component, "ndim") and "ndim" not in options
    default = options.get("ndim", getattr(cls, "ndim", 2))
    ndims = component.ndims if variable else (default if isinstance(default, int) else 2,)
    return [_backbone(component, ndim, options, asked) for ndim in ndims]


def takes(component: Component, name: str) -> bool:
    """Whether the constructor of a component has an option of that name."""
    return name in inspect.signature(component.load()).parameters


def _backbone(
    component: Component, ndim: int, options: dict[str, Any], asked: dict[str, Any]
) -> Subject:
    usual = ("image",) if ndim == 2 else ("sequence",)
    kind = asked.get("kind") or getattr(component.load(), "input_kinds", usual)[0]
    channels = asked.get("channels") or {"audio": 1, "text": 20}.get(kind, 3)
    return Subject(component, ndim, options, {**asked, "kind": kind}, channels)


def _with_width(subject: Subject) -> Subject:
    """The subject with a width that it does not refuse; which ones it does is a property of its own."""
    for channels in (16, 64, 32, 96, 8, 128, 256):
        try:
            subject.make(channels)
        except InvalidValue:
            continue
        except Exception:  # noqa: S112 - to be reported by the property `built`
            continue
        return Subject(subject.component, subject.ndim, subject.options, channels=channels)
    return subject


def _is_constant(parameter: Tensor) -> bool:
    return parameter.numel() > 0 and bool((parameter == parameter.flatten()[0]).all())


def difference(
    found: Tensor, expected: Tensor, *, rtol: float = 1e-4, atol: float = 1e-5
) -> str | None:
    """Say how two tensors differ; None where they agree. `atol` is for values of about 1, and grows with them."""
    if found.shape != expected.shape:
        return f"shape {tuple(found.shape)} in place of {tuple(expected.shape)}"
    a, b = found.detach().double(), expected.detach().double()
    if b.numel() and b.isfinite().all():
        atol *= max(1.0, b.abs().max().item())
    wrong = ~torch.isclose(a, b, rtol=rtol, atol=atol, equal_nan=False)
    if not wrong.any():
        return None
    gap = (a - b).abs()[wrong].nan_to_num(math.inf).max().item()
    return f"{int(wrong.sum())} of {wrong.numel()} values differ, by up to {gap:.3g}"

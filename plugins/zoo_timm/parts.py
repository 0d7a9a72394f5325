"""A timm model taken apart: its trunk (up to the last map), its pooling head and its classifier.

They share nothing that is registered, so that a model with another head carries no dead weights. Trunk
and head are shallow copies of the timm model that keep their own children only, and run timm's own code.
"""

from __future__ import annotations

import copy
from types import CodeType
from typing import Any, Literal

from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from timm.layers.drop import DropPath
from torch import Tensor, nn

from zoo import InvalidValue


def trunk_of(model: Any) -> Any:
    """Return a shallow copy of a timm model without what its `forward_head` alone uses."""
    return _part(model, keep=set(model._modules) - _head_names(model))


def head_of(model: Any) -> tuple[nn.Module, nn.Module]:
    """Return what the `forward_head` of a timm model uses, and its classifier taken out of it."""
    classifier = model.get_classifier()
    head = _part(model, keep=_head_names(model))
    head._parameters, head._buffers = {}, {}
    path = next((name for name, module in head.named_modules() if module is classifier), "")
    linear = _as_linear(classifier)
    if not path or linear is None:
        raise InvalidValue(
            f"The classifier of {type(model).__name__} is no single layer: choose another head, e.g. 'avg'."
        )
    head.set_submodule(path, nn.Identity())
    return head, linear


class MarkedDropPath(DropPath):
    """Stochastic depth with a place before it, where an attention can stand."""

    def __init__(self, drop: DropPath) -> None:
        super().__init__(drop.drop_prob, drop.scale_by_keep)
        self.before = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Leave out samples in training."""
        y: Tensor = super().forward(self.before(x))  # type: ignore[no-untyped-call]  # timm is not typed
        return y


def mark_before_drops(model: nn.Module) -> None:
    """Give each stochastic depth of a model a place before it; no tensor's name changes."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is DropPath:
                setattr(parent, name, MarkedDropPath(child))


def _part(model: Any, *, keep: set[str]) -> Any:
    part = copy.copy(model)
    part._modules = {
        name: child if child is None or name in keep or not _has_state(child) else nn.Identity()
        for name, child in model._modules.items()
    }
    return part


def _has_state(module: nn.Module) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())


def _head_names(model: nn.Module) -> set[str]:
    """Children that the code of `forward_head` names and that of `forward_features` does not.

    Read off the byte code, which takes microseconds; `benchmarks/slots.py` compares the outputs.
    """
    kind = type(model)
    return _named(kind, "forward_head", model, set()) - _named(
        kind, "forward_features", model, set()
    )


def _named(kind: type, method: str, model: nn.Module, seen: set[str]) -> set[str]:
    code = getattr(getattr(kind, method, None), "__code__", None)
    if method in seen or hasattr(nn.Module, method) or not isinstance(code, CodeType):
        return set()
    seen.add(method)
    found: set[str] = set()
    for name in code.co_names:
        found |= {name} if name in model._modules else _named(kind, name, model, seen)
    return found


def _as_linear(classifier: nn.Module) -> nn.Module | None:
    """Return a classifier as one layer on (N, F); None where it is of another kind."""
    if isinstance(classifier, nn.Linear | nn.Identity):
        return classifier
    if (
        not isinstance(classifier, nn.Conv2d)
        or classifier.kernel_size != (1, 1)
        or classifier.groups != 1
    ):
        return None
    linear = nn.Linear(classifier.in_channels, classifier.out_channels, device="meta")
    linear.weight = nn.Parameter(classifier.weight.detach().flatten(1))
    if classifier.bias is None:
        linear.register_parameter("bias", None)
    else:
        linear.bias = nn.Parameter(classifier.bias.detach())
    return linear.train(classifier.training)


def pools_maps(head: nn.Module) -> bool:
    """Whether a head part has a pooling of maps, so that it takes no tokens; False may be either."""
    return any(
        isinstance(module, SelectAdaptivePool2d | nn.AdaptiveAvgPool2d) for module in head.modules()
    )


class TimmHead(nn.Module):
    """What a timm model does between its last map and its classifier.

    Args:
        model: The head part of a timm model, with an identity in place of its classifier.
        out_features: Features that come out.
        layout: What timm's code takes: `NCHW`, `NHWC`, or `NLC` for tokens (N, H * W, C).
    """

    def __init__(
        self, model: Any, *, out_features: int, layout: Literal["NCHW", "NHWC", "NLC"]
    ) -> None:
        super().__init__()
        self.net = model
        self.out_features = out_features
        self.layout = layout

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (N, C, H, W) to (N, out_features).

        Raises:
            InvalidValue: A mask is given; timm's heads take none.
        """
        if mask is not None:
            raise InvalidValue("timm's own head takes no mask: choose another head, e.g. 'avg'.")
        if self.layout != "NCHW":
            x = x.permute(0, 2, 3, 1)  # (N, H, W, C)
        y: Tensor = self.net.forward_head(x.flatten(1, 2) if self.layout == "NLC" else x)
        return y.flatten(1)

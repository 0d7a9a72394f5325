"""From a plan to a model: build the backbone, put attentions in its slots, add head and classifier."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import msgspec
import torch
from torch import nn

from zoo.component import Component
from zoo.composition.initialization import NoRandomInit
from zoo.composition.insertion import Chain, IdentityStart, insert, select
from zoo.composition.model import Model, classifies, make_classifier, make_linear, takes_mask
from zoo.composition.modes import evaluating
from zoo.composition.slots import Slot
from zoo.errors import InvalidSpec, PluginError, ZooError, near_misses
from zoo.inputs.text import Vocabulary
from zoo.spec import SLOTS, AudioInput, Output, Placement, Plan, Spec, TextInput

NATIVE_HEAD = "native"


def build(plan: Plan, *, initialize: bool = True, check: bool = True) -> Model:
    """Build the model that a plan describes.

    Args:
        plan: Components and options.
        initialize: Draw random weights. False where they are loaded right after, or nobody computes with them.
        check: Try the attentions on a small map. False where that was done when the model was composed.

    Raises:
        InvalidSpec: A component refuses an option, or does not fit the others.
        UnknownName: The backbone lacks a slot.
        PluginError: A component breaks its contract.
    """
    with nullcontext() if initialize else NoRandomInit():
        return _build(plan, check=check)


@contextmanager
def in_float32() -> Iterator[None]:
    """Make tensors of float32, as files have them, where this process makes others; meanwhile it makes none."""
    usual = torch.get_default_dtype()
    if usual == torch.float32:
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(usual)


def _build(plan: Plan, *, check: bool) -> Model:
    backbone = build_backbone(plan)
    last, attentions = _insert_attentions(plan, backbone, check=check)
    head, classifier, plan = _build_head(plan, backbone)
    width = head.out_features
    layers: list[nn.Module] = []
    for hidden in plan.spec.head.hidden:
        layers += [make_linear(width, hidden), nn.ReLU()]
        width = hidden
    return Model(
        plan,
        vocabulary=_vocabulary(plan.spec),
        backbone=backbone,
        last=last,
        head=head,
        dense=nn.Sequential(*layers),
        classifier=classifier or make_classifier(head, width, plan.spec.output.width),
        head_hidden_size=width,
        attention_modules=attentions,
    )


def construct(
    component: Component, *args: Any, where: str, options: dict[str, Any], **own: Any
) -> Any:
    """Make an instance of a component, with its options checked by name.

    Args:
        component: What to make.
        args: Positional arguments of its contract.
        where: Place in the spec, for messages.
        options: Options from the spec.
        own: Keyword arguments of its contract, e.g. `ndim`.

    Raises:
        InvalidSpec: An option is unknown, or the component refuses it.
        PluginError: The component is no `nn.Module`.
    """
    cls = component.load()
    if not issubclass(cls, nn.Module):
        raise PluginError(
            f"{component.title} of {component.origin} is no nn.Module: {cls.__name__}."
        )
    parameters = inspect.signature(cls).parameters.values()
    taken = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    missing = [name for name in own if name not in taken]
    if missing and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        raise PluginError(
            f"{component.title} of {component.origin} does not take the keyword {missing[0]!r}, "
            f"which every {component.kind} is given."
        )
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in own]
    for name in options:
        if name not in known:
            raise InvalidSpec(
                f"{where}: {component.title} has no option {name!r}. {near_misses(name, known)}"
            )
    try:
        module = cls(*args, **own, **options)
    except ZooError as error:
        error.args = (f"{where}: {error}",)
        raise
    except Exception as error:
        raise InvalidSpec(
            f"{where}: {component.title} cannot be built with {options or 'its default options'}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return module


def build_backbone(plan: Plan) -> Any:
    """Build the backbone alone, with its pretrained weights if the spec asks for them."""
    spec = plan.spec
    own: dict[str, Any] = {}
    if plan.backbone.name.endswith("/*"):
        own["architecture"] = spec.backbone.name.partition("/")[2]
    with NoRandomInit() if spec.backbone.pretrained else nullcontext():
        backbone = construct(
            plan.backbone,
            spec.input.channels,
            where="backbone",
            options=spec.backbone.options,
            **own,
        )
    for attribute in ("ndim", "num_features", "forward_stages", "slots"):
        if not hasattr(backbone, attribute):
            raise PluginError(
                f"{plan.backbone.title} of {plan.backbone.origin} has no {attribute!r}."
            )
    takes = getattr(backbone, "input_kinds", ("image",) if backbone.ndim == 2 else ("sequence",))
    if spec.input.kind not in takes:
        raise InvalidSpec(
            f"input: kind {spec.input.kind!r} does not fit {spec.backbone.name} of ndim {backbone.ndim}, "
            f"which takes {' or '.join(takes)}. Say so, e.g. input={{'kind': {takes[0]!r}, ...}}."
        )
    rate = getattr(backbone, "sample_rate", None)
    if isinstance(spec.input, AudioInput) and rate not in (None, spec.input.sample_rate):
        raise InvalidSpec(
            f"input: the sample rate is {spec.input.sample_rate} Hz, but {spec.backbone.name} is built for {rate} Hz. "
            "Give both the same 'sample_rate'; sounds of any other are resampled by model.transform()."
        )
    if spec.backbone.pretrained:
        if not hasattr(backbone, "load_pretrained"):
            raise InvalidSpec(
                f"backbone: {spec.backbone.name} brings no pretrained weights of its own; leave 'pretrained' (of zoo train: --finetune) out."
            )
        backbone.load_pretrained(spec.backbone.pretrained)
    return backbone


def _vocabulary(spec: Spec) -> Vocabulary | None:
    if not isinstance(spec.input, TextInput):
        return None
    return Vocabulary(spec.input.vocabulary_size, spec.input.vocabulary_bytes)


def _insert_attentions(
    plan: Plan, backbone: Any, *, check: bool
) -> tuple[nn.Module | None, list[nn.Module]]:
    """Build every attention that the spec places; put those that belong into the backbone there."""
    slots = backbone.slots()
    last: list[nn.Module] = []
    built: list[nn.Module] = []
    at: dict[str, list[tuple[Slot, Placement, nn.Module]]] = {}
    for number, (placement, component) in enumerate(
        zip(plan.spec.attention, plan.attentions, strict=True)
    ):
        where = f"attention[{number}] ({placement.name}@{placement.slot})"
        if backbone.ndim not in component.ndims:
            raise InvalidSpec(
                f"{where}: {placement.name} works for ndim {component.ndims}, {plan.spec.backbone.name} is {backbone.ndim}-D."
            )
        chosen: list[Slot | None] = [None]
        if placement.slot == "last":
            if placement.stages is not None or placement.blocks != "all":
                raise InvalidSpec(
                    f"{where}: the slot 'last' is one place; leave 'stages' and 'blocks' out."
                )
        else:
            chosen = [*select(placement, slots, backbone=plan.spec.backbone.name, where=where)]
        seen: set[int] = set()
        for slot in chosen:
            channels = backbone.num_features if slot is None else slot.channels
            attention = construct(
                component, channels, where=where, options=placement.options, ndim=backbone.ndim
            )
            if check and slot is not None and slot.how == "fill":
                _check_call(component, attention)
            if check and channels not in seen:
                _check_shape(component, attention, channels, ndim=backbone.ndim)
                seen.add(channels)
            built.append(attention)
            if slot is None:
                last.append(
                    IdentityStart(attention) if placement.start == "identity" else attention
                )
            else:
                at.setdefault(slot.path, []).append((slot, placement, attention))
    _fill(backbone, at)
    return (None if not last else last[0] if len(last) == 1 else Chain(last)), built


def _check_call(component: Component, attention: nn.Module) -> None:
    """See that an attention can be called as blocks call what stands in their slots: with a mask, or None.

    Raises:
        PluginError: Its forward takes none.
    """
    if not takes_mask(attention):
        raise PluginError(
            f"{component.title} of {component.origin} takes no mask, which a block gives to what stands in it (None "
            f"where there is none): {type(attention).__name__}.forward is to be forward(x, mask=None)."
        )


def _check_shape(component: Component, attention: nn.Module, channels: int, *, ndim: int) -> None:
    """Try an attention on a small map: one that does not keep its shape could be spread over it unnoticed.

    What goes wrong otherwise (a size that it does not take, say) is left to the call that means it.

    Raises:
        PluginError: The shape is another one.
    """
    weight = next(attention.parameters(), None)
    x = torch.zeros(1, channels, *[2] * ndim)
    x = x if weight is None else x.to(weight)
    try:
        with evaluating(attention), torch.no_grad(), torch.random.fork_rng(devices=[]):
            shape = getattr(attention(x), "shape", None)
    except Exception:
        return
    if shape != x.shape:
        found = "no tensor" if shape is None else tuple(shape)
        raise PluginError(
            f"{component.title} of {component.origin} gives {found} for a map {tuple(x.shape)}; "
            "an attention keeps the shape."
        )


def _fill(backbone: Any, at: dict[str, list[tuple[Slot, Placement, nn.Module]]]) -> None:
    # Inner paths first: what stands at an outer path moves into a wrapper when its turn comes.
    for path in sorted(at, key=lambda path: path.count("."), reverse=True):
        # Where a block's end is also its stage's end, the block's attention comes first.
        group = sorted(at[path], key=lambda entry: SLOTS.index(entry[0].kind))
        slot = group[0][0]
        if slot.how == "replace" and len(group) > 1:
            names = ", ".join(placement.name for _, placement, _ in group)
            raise InvalidSpec(
                f"attention: {names} would all take the place of one convolution ({path}); place one."
            )
        insert(
            backbone,
            slot,
            [(attention, placement) for _, placement, attention in group],
            ndim=backbone.ndim,
        )


def _build_head(plan: Plan, backbone: Any) -> tuple[Any, nn.Module | None, Plan]:
    """Build the pooling head; the native head brings its own classifier, used where it fits."""
    spec = plan.spec
    if plan.head is not None:
        head = construct(
            plan.head,
            backbone.num_features,
            where="head",
            options=spec.head.options,
            ndim=backbone.ndim,
        )
        if not isinstance(getattr(head, "out_features", None), int):
            raise PluginError(f"{plan.head.title} of {plan.head.origin} has no 'out_features'.")
        if classifies(head) and spec.head.hidden:
            raise InvalidSpec(
                f"head: {plan.head.name} classifies before it pools, so that no dense layers fit between; "
                "leave 'hidden' out."
            )
        if hasattr(backbone, "drop_native_head"):
            backbone.drop_native_head()
        return head, None, plan
    if not hasattr(backbone, "native_head"):
        raise InvalidSpec(
            f"head: {spec.backbone.name} brings no head of its own; choose one, e.g. 'avg'."
        )
    head, classifier = backbone.native_head()
    classes = getattr(classifier, "out_features", None)
    if spec.output.num_classes is None and spec.output.labels is None and classes:
        spec = msgspec.structs.replace(spec, output=Output(num_classes=classes))
        plan = msgspec.structs.replace(plan, spec=spec)
    keeps = classes == spec.output.width and not spec.head.hidden
    return head, classifier if keeps else None, plan

"""Training only a part of a model, and each part at its own pace."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.composition.insertion import IdentityStart, Resized
from zoo.composition.model import Model
from zoo.errors import InvalidValue, near_misses, no_model

PARTS = ("backbone", "attention", "head")


def parts(model: Model) -> dict[str, str]:
    """Say for each parameter, by name, whether it belongs to the backbone, an attention or the head.

    What an insertion adds (the gate of `start: identity`, the projection to a convolution's width)
    belongs to the attention; dense layers and classifier belong to the head.

    Raises:
        InvalidValue: It is no composed model.
    """
    if not isinstance(model, Model):
        raise no_model("This", model)
    inserted = {
        id(p) for path in model.attention_paths for p in model.get_submodule(path).parameters()
    }
    for module in model.modules():
        if isinstance(module, IdentityStart):
            inserted.add(id(module.gate))
        elif isinstance(module, Resized):
            inserted.update(id(parameter) for parameter in module.project.parameters())
    return {
        name: "attention"
        if id(parameter) in inserted
        else "backbone"
        if name.startswith("backbone.")
        else "head"
        for name, parameter in model.named_parameters()
    }


def freeze(model: Model, *, except_: str | Collection[str] = ()) -> None:
    """Keep all parameters as they are, except those of some parts. Called again, it decides afresh.

    The batch statistics of what is frozen are kept, too, also while the model trains.

    Args:
        model: A composed model.
        except_: Parts that are trained: `backbone`, `attention`, `head`; one or several.

    Raises:
        InvalidValue: There is no such part, or it is no composed model.

    Whatever puts other norms into the model, as `SyncBatchNorm.convert_sync_batchnorm` does, comes before this.
    """
    trained = {except_} if isinstance(except_, str) else set(except_)
    for part in trained:
        _check_part(part)
    belongs = parts(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(belongs[name] in trained)
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            own = [belongs[f"{name}.{weight}"] for weight, _ in module.named_parameters()]
            module.keeps_statistics = bool(own) and own[0] not in trained  # type: ignore[assignment]
    model.train(model.training)


def parameter_groups(
    model: Model,
    *,
    learning_rates: float | Mapping[str, float],
    weight_decay: float = 0.0,
) -> list[dict[str, Any]]:
    """Group the trainable parameters for an optimizer of torch.

    Weight decay is left off biases, scales of norms and gates (all parameters with at most one axis),
    and what a module lists in `no_weight_decay()`, as papers ask for and timm does.

    Args:
        model: A composed model.
        learning_rates: One for all, or one for each part: `{"backbone": 1e-4, "attention": 1e-3, "head": 1e-3}`.
        weight_decay: For all other parameters.

    Returns:
        Groups with `params`, `lr`, `weight_decay` and a `name` such as `backbone/no_decay`.

    Raises:
        InvalidValue: A part is unknown, or one with trainable parameters has no learning rate; or it is no composed
            model.
    """
    rates = (
        dict.fromkeys(PARTS, learning_rates)
        if isinstance(learning_rates, int | float)
        else dict(learning_rates)
    )
    for part in rates:
        _check_part(part)
    exempt = _no_weight_decay(model)
    belongs = parts(model)
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        part = belongs[name]
        if part not in rates:
            raise InvalidValue(
                f"learning_rates has none for {part!r}. Give one, or freeze that part."
            )
        decays = parameter.ndim > 1 and name not in exempt
        key = f"{part}/{'decay' if decays else 'no_decay'}"
        group = {
            "name": key,
            "params": [],
            "lr": rates[part],
            "weight_decay": weight_decay if decays else 0.0,
        }
        groups.setdefault(key, group)["params"].append(parameter)
    return list(groups.values())


def _no_weight_decay(model: nn.Module) -> set[str]:
    exempt: set[str] = set()
    for path, module in model.named_modules():
        listed = getattr(module, "no_weight_decay", None)
        if callable(listed):
            exempt.update(f"{path}.{name}" if path else name for name in listed())
    return exempt


def _check_part(part: str) -> None:
    if part not in PARTS:
        raise InvalidValue(f"A model has no part {part!r}. {near_misses(part, PARTS)}")

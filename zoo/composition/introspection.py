"""What an attention attends to, in one form for every attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import get_ident
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import InvalidValue, no_model

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoo.composition.model import Model

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class AttentionMap(NamedTuple):
    """The weights that one attention gives to its input.

    An attention has a method `attention_map(x, mask=None) -> AttentionMap`, computed from the input of
    its `forward`. A field is None where the attention has no such weights.

    Attributes:
        channel: (N, C), the weight of each channel.
        spatial: (N, *spatial), the weight of each position. Gates give the gate (mean over channels
            where it differs by channel); self-attention gives the attention that each position
            receives, summing to 1 over the positions.
    """

    channel: Tensor | None = None
    spatial: Tensor | None = None


def attention_maps(model: Model, x: Tensor, mask: Tensor | None = None) -> dict[str, AttentionMap]:
    """Show what each inserted attention attends to on `x`.

    The model is left as it was (mode, gradients, statistics); it is slower only during this call.

    Args:
        model: A composed model.
        x: (N, channels, *spatial), preprocessed.
        mask: (N, *spatial), True where x is real.

    Returns:
        For each attention, by its dotted name in the model and in the order it is called, its weights.
        An attention that cannot tell (a plug-in without `attention_map`) gives an empty one.

    Raises:
        InvalidValue: `model` is none of ours, or `x` is not what it takes.
    """
    import torch

    from zoo.composition.model import Model
    from zoo.composition.modes import evaluating

    if not isinstance(model, Model):
        raise no_model("zoo.attention_maps", model)
    if not isinstance(x, torch.Tensor):
        raise InvalidValue(
            f"zoo.attention_maps takes a batch of prepared samples; got {type(x).__name__}. Of one sample: "
            "zoo.attention_maps(model, model.transform()(sample).unsqueeze(0))."
        )
    inputs: dict[str, tuple[Any, ...]] = {}
    thread = get_ident()

    def remember(path: str) -> Callable[..., None]:
        # Other threads that run this model now come by here, too, and without keywords where it is being taken off.
        def hook(
            _module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] = _NOTHING
        ) -> None:
            if thread == get_ident():
                inputs[path] = (*args, *kwargs.values())

        return hook

    modules = {path: model.get_submodule(path) for path in model.attention_paths}
    handles = [
        module.register_forward_pre_hook(remember(path), with_kwargs=True)
        for path, module in modules.items()
    ]
    try:
        with evaluating(model), torch.no_grad():
            model(x, mask)
            return {
                path: modules[path].attention_map(*given)  # type: ignore[operator]  # contract of an attention
                if hasattr(modules[path], "attention_map")
                else AttentionMap()
                for path, given in inputs.items()
            }
    finally:
        for handle in handles:
            handle.remove()

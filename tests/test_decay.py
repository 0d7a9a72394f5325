"""Which parameters of attentions and heads an optimizer lets decay: weights, and neither biases nor positions."""

from __future__ import annotations

import pytest
import zoo_attention
import zoo_pooling
from torch import nn

from zoo import Component

# Kernels and matrices that are no layer's; of them, too, a recipe's decay is meant.
WEIGHTS = {
    "dynamic_conv": {"weight"},
    "netvlad": {"centres"},
    "odconv": {"weight"},
    "srm": {"weight"},
}


@pytest.mark.parametrize(
    ("component", "ndim"),
    [
        (component, ndim)
        for component in (*zoo_attention.COMPONENTS, *zoo_pooling.COMPONENTS)
        for ndim in component.ndims
    ],
    ids=lambda value: value.name if isinstance(value, Component) else f"{value}d",
)
def test_only_weights_decay(component: Component, ndim: int) -> None:
    """What is no layer's nor a vector is a kernel or a matrix by its nature, or has no weight decay.

    The optimizer leaves out vectors and what a module lists; biases and positions of more axes are to be listed.
    """
    module = component.load()(32, ndim=ndim)
    parameters = dict(module.named_parameters())
    owned = {
        id(own)
        for layer in module.modules()
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear, nn.Embedding))
        for own in layer.parameters()
    }
    listed = {
        f"{path}.{name}".removeprefix(".")
        for path, part in module.named_modules()
        for name in getattr(part, "no_weight_decay", set)()
    }
    assert listed <= parameters.keys()
    decaying = {
        name
        for name, own in parameters.items()
        if own.ndim > 1 and id(own) not in owned and name not in listed
    }
    assert decaying == WEIGHTS.get(component.name, set())

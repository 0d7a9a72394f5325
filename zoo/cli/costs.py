"""What a component or a model costs at a size that stands for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.component import Component
    from zoo.composition.model import Model

CHANNELS = 64
SIZES: dict[int, tuple[int, ...]] = {1: (1024,), 2: (32, 32)}
# Sizes of inputs that leave theirs open: pixels, positions, samples (one second at 16 kHz) and tokens.
INPUT_SIZES = {"image": (32, 32), "sequence": (256,), "audio": (16_000,), "text": (32,)}
VOCABULARY = 10_000


class Example(NamedTuple):
    """Parameters and multiply-adds of one sample of this shape."""

    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int

    def __str__(self) -> str:
        return (
            f"{self.parameters:,} parameters, {self.multiply_adds:,} multiply-adds at {self.shape}"
        )


def component_cost(component: Component, name: str) -> Example | str:
    """Count a component with its default options, alone; or say why that cannot be done.

    Args:
        component: Of any kind.
        name: Its name; of a name space the whole name of what is meant in it.
    """
    try:
        if component.kind == "backbone":
            return model_cost(_backbone(component, name))
        from zoo.composition.building import construct
        from zoo.composition.costs import cost

        ndim = max(component.ndims)
        shape = (CHANNELS, *SIZES[ndim])
        module = construct(component, CHANNELS, where=component.title, options={}, ndim=ndim)
        return Example(shape, *cost(module, shape))
    except ZooError as error:
        return f"not counted: {error}"


def model_cost(model: Model) -> Example:
    """Count a model at the size of its input block, or at one of ours where that leaves it open."""
    from zoo.composition.costs import cost, input_shape
    from zoo.spec import TextInput

    block = model.spec.input
    shape = input_shape(block)
    if shape is None:
        size = INPUT_SIZES[block.kind]
        shape = size if isinstance(block, TextInput) else (block.channels, *size)
    return Example(shape, *cost(model, shape))


def _backbone(component: Component, name: str) -> Model:
    """A model that is no more than this backbone."""
    from zoo.api import plan_for
    from zoo.blocks import read_spec
    from zoo.composition.building import build

    blocks: dict[str, Any] = {}
    if "text" in getattr(component.load(), "input_kinds", ()):
        blocks["input"] = {"kind": "text", "vocabulary_size": VOCABULARY, "vocabulary_bytes": 0}
    return build(plan_for(read_spec(name, **blocks)), initialize=False)

"""What a component or a model costs at a size that stands for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import ZooError, counted

if TYPE_CHECKING:
    from zoo.component import Component
    from zoo.composition.model import Model
    from zoo.spec import Input, Spec

CHANNELS = 64
SIZES: dict[int, tuple[int, ...]] = {1: (1024,), 2: (32, 32)}
# Sizes of inputs that leave theirs open: pixels, positions and tokens; for sounds, seconds.
INPUT_SIZES = {"image": (32, 32), "sequence": (256,), "text": (32,)}
SECONDS = 1
VOCABULARY = 10_000


class Example(NamedTuple):
    """Parameters and multiply-adds of one sample of this shape."""

    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int

    @property
    def numbers(self) -> str:
        """The two counts, for people."""
        parameters = counted(self.parameters, "parameter")
        return f"{parameters}, {counted(self.multiply_adds, 'multiply-add')}"

    def __str__(self) -> str:
        return f"{self.numbers} at {self.shape}"


def component_cost(component: Component, name: str) -> Example | str:
    """Count a component with its default options, alone; or say why that cannot be done.

    Args:
        component: Of any kind.
        name: Its name; of a name space the whole name of what is meant in it, else there is no one count.
    """
    if name.endswith("/*"):
        return f"depends on the architecture; zoo show {name[:-1]}NAME says it of one"
    if component.kind == "backbone":
        return _tried(lambda: _model_cost(_backbone(component, name)))
    return _tried(lambda: _alone(component))


def spec_cost(spec: Spec) -> Example | str:
    """Count the model of a spec, as `model_cost` does; or say why that cannot be done."""
    from zoo.api import plan_for
    from zoo.composition.building import build
    from zoo.weights import without_pretrained

    return _tried(lambda: _model_cost(build(plan_for(without_pretrained(spec)), initialize=False)))


def model_cost(model: Model) -> Example | str:
    """Count a model at the size of its input block, or at one of ours where that leaves it open."""
    return _tried(lambda: _model_cost(model))


def cost_data(found: Example | str) -> dict[str, Any] | None:
    """A count as plain data; None where there is none."""
    return found._asdict() if isinstance(found, Example) else None


def _tried(count: Callable[[], Example]) -> Example | str:
    try:
        return count()
    except ZooError as error:
        return f"not counted: {error}"


def _alone(component: Component) -> Example:
    from zoo.composition.building import construct
    from zoo.composition.costs import cost

    ndim = max(component.ndims)
    shape = (CHANNELS, *SIZES[ndim])
    module = construct(component, CHANNELS, where=component.title, options={}, ndim=ndim)
    return Example(shape, *cost(module, shape))


def _model_cost(model: Model) -> Example:
    from zoo.composition.costs import cost

    shape = usual_shape(model.spec.input)
    return Example(shape, *cost(model, shape))


def usual_shape(block: Input) -> tuple[int, ...]:
    """The shape of one sample as an input block has it, or with a size of ours where it leaves that open."""
    from zoo.composition.costs import input_shape
    from zoo.spec import TextInput

    own = input_shape(block)
    if own is not None:
        return own
    size = usual_size(block)
    return size if isinstance(block, TextInput) else (block.channels, *size)


def usual_size(block: Input) -> tuple[int, ...]:
    """A size for an input that leaves its own open, in pixels, positions, tokens or samples of a sound."""
    from zoo.spec import AudioInput

    if isinstance(block, AudioInput):
        return (SECONDS * block.sample_rate,)
    return INPUT_SIZES[block.kind]


def _backbone(component: Component, name: str) -> Model:
    """A model that is no more than this backbone."""
    from zoo.api import plan_for
    from zoo.blocks import read_spec
    from zoo.composition.building import build

    blocks: dict[str, Any] = {}
    if "text" in getattr(component.load(), "input_kinds", ()):
        blocks["input"] = {"kind": "text", "vocabulary_size": VOCABULARY, "vocabulary_bytes": 0}
    return build(plan_for(read_spec(name, **blocks)), initialize=False)

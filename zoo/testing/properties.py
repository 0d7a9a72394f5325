"""The table of properties: one line each. A new one is a function in the file of its theme, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zoo.component import KINDS
from zoo.testing import (
    backbones,
    composed,
    construction,
    determinism,
    export,
    gradients,
    growth,
    masks,
    numbers,
    shapes,
)
from zoo.testing.outcomes import Outcome
from zoo.testing.subject import Subject


@dataclass(frozen=True)
class Property:
    """Something that every component of some kinds promises.

    Attributes:
        name: What it is called, in reports and in `except_`.
        description: One line: what is promised.
        function: Checks it on one subject.
        needs: Properties without which this one says nothing.
        kinds: Kinds of components that promise it.
        slow: Checked only when asked for.
    """

    name: str
    description: str
    function: Callable[[Subject], Outcome]
    needs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS
    slow: bool = False


MAPS = ("attention", "head")
HEAD = ("head",)
ATTENTION = ("attention",)
BACKBONE = ("backbone",)
# Nothing is left out of the module's state.
HELD = ("shape", "parameters_registered", "parameters_stay")

# fmt: off
PROPERTIES = (
    Property("built", "It is built from its width and its default options.", construction.built),
    Property("keyword_options", "The width comes first; options are keyword-only and have defaults.", construction.keyword_options, ("built",)),
    Property("default_options", "Each option takes its own default, given explicitly.", construction.default_options, ("shape", "deterministic")),
    Property("misspelt_options", "An option that does not exist is refused.", construction.misspelt_options, ("built",)),
    Property("reserved_options", "No option has a name that belongs to specs.", construction.reserved_options, ("built",)),
    Property("shape", "What comes out has the promised shape.", shapes.shape, ("built",)),
    Property("classifier", "`make_classifier`, where a head has it, fits any number of classes; without, features come out.", shapes.classifier, ("shape",), HEAD),
    Property("dtype", "A module in float32, float64 or bfloat16 gives what it is given.", shapes.dtype, HELD, MAPS),
    Property("autocast", "Under bfloat16 autocast dtype and numbers stay.", shapes.autocast, ("shape", "dtype", "deterministic"), MAPS),
    Property("device", "It works on the device that it was moved to.", shapes.device, HELD),
    Property("sizes", "Odd, non-square and larger inputs work.", shapes.sizes, ("shape",)),
    Property("one_position", "A map of one position works, or is clearly refused.", shapes.one_position, ("sizes",)),
    Property("batch_of_one", "One sample can be trained on, or is clearly refused.", shapes.batch_of_one, ("shape",)),
    Property("channels", "Widths of 8, 16, 64 and 96 work, or are clearly refused.", shapes.channels, ("shape",), MAPS),
    Property("channels_last", "A channels_last input gives the same numbers.", shapes.channels_last, ("shape", "deterministic")),
    Property("input_unchanged", "The input is not written to.", determinism.input_unchanged, ("shape",)),
    Property("deterministic", "In eval mode the same input gives the same output.", determinism.deterministic, ("shape",)),
    Property("no_grad", "Without gradients the numbers are the same.", determinism.no_grad, ("deterministic",)),
    Property("batch_independence", "In eval mode a sample's output does not depend on its neighbours.", determinism.batch_independence, ("shape",)),
    Property("state_dict", "Another instance that is given its state gives the same output.", determinism.state_dict, HELD),
    Property("deepcopy", "A deep copy gives the same output and shares nothing.", determinism.deepcopy, ("shape",)),
    Property("parameters_registered", "What is trained is among its parameters.", gradients.parameters_registered, ("shape",)),
    Property("parameters_stay", "A parameter stays the same object, in calls and in a step.", gradients.parameters_stay, ("shape",)),
    Property("gradient", "Every parameter and the input get a gradient.", gradients.gradient, ("shape",)),
    Property("finite", "Constant, zero, tiny and huge inputs give finite outputs and gradients.", numbers.finite, ("shape",)),
    Property("attention_map", "`attention_map` gives weights of the agreed form.", numbers.attention_map, ("shape",), ATTENTION),
    Property("gate_range", "Gates stay within their range: 0 to 1, or the class's `gate_range`.", numbers.gate_range, ("attention_map",), ATTENTION),
    Property("mask_full", "A mask that is True everywhere changes nothing.", masks.mask_full, ("shape", "deterministic")),
    Property("mask", "With a mask, padding changes nothing.", masks.mask, ("sizes", "deterministic", "mask_full")),
    Property("mask_gradient", "With a mask, padding changes no gradient.", masks.mask_gradient, ("mask", "dtype", "parameters_registered")),
    Property("mask_garbage", "With a mask, NaN and infinity in the padding change no output.", masks.mask_garbage, ("mask",)),
    Property("mask_training", "With a mask, padding changes no output, gradient or statistic in training: asked of attentions and heads, not of backbones, whose own norms may take it along.", masks.mask_training, ("mask_gradient",), MAPS),
    Property("mask_graph", "With a mask, torch's tracer takes it in one piece.", masks.mask_graph, ("mask", *HELD), slow=True),
    Property("mask_map", "With a mask, `attention_map` gives the weights that there are without padding.", masks.mask_map, ("mask", "attention_map"), ATTENTION),
    Property("mask_empty", "A sample without real positions gives finite outputs and gradients.", masks.mask_empty, ("mask_full", "batch_independence")),
    Property("stages", "`forward_stages` ends with the last map, and attributes say its form.", backbones.stages, ("shape",), BACKBONE),
    Property("slots", "Each slot is there and has the channels that it says.", backbones.slots, ("shape",), BACKBONE),
    Property("export", "torch.export serves other sizes and batches with the same numbers.", export.export, ("sizes", "deterministic", "gradient", "state_dict", *HELD)),
    Property("compile", "torch.compile takes it in one piece and keeps its numbers.", export.compiled, ("deterministic", *HELD), slow=True),
    Property("onnx", "The ONNX export serves other sizes and batches with the same numbers.", export.onnx, ("export",), slow=True),
    Property("identity_start", "`start: identity` leaves a composed model's output as it was, exactly.", composed.identity_start, ("input_unchanged", "deterministic", "slots"), ("attention", "backbone")),
    Property("saved", "zoo.save and zoo.load give the same model back.", composed.saved, ("state_dict", "deterministic")),
    Property("growth", "Work and memory grow with the positions as `growth` says: linearly, where nothing is said but of self-attention.", growth.growth, ("sizes",), MAPS),
)
# fmt: on
NAMES = tuple(one.name for one in PROPERTIES)
SLOW = frozenset(one.name for one in PROPERTIES if one.slow)

"""The slots of a timm model, found from a traced run.

A branch slot stands after the last module before the addition to the shortcut; a block slot after the
block; a stage slot after the last block, or what follows it in the stage. A convolution can be replaced
where its output is as large as its input over the stride. What the trace does not show is left out,
never guessed: so a network without residual branches has no branch slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, prod
from typing import Any, Literal, NamedTuple

from timm.layers.drop import DropPath
from torch import nn

from zoo import InvalidValue, Slot
from zoo_timm.anatomy import Anatomy, Block, Stage
from zoo_timm.trace import Call, trace

# Of the traced image: sides that show which axes of a tensor are height and width.
_SIZE = (256, 320)
# Functions between the last module of a branch and the addition: scales, views, and slices of a map.
_PASSED = {
    "mul",
    "mul_",
    "__mul__",
    "__rmul__",
    "__imul__",
    "div",
    "contiguous",
    "permute",
    "__getitem__",
    "flatten",
}


class Findings(NamedTuple):
    """What discovery found: slots in the order of the network, where stages end, and whether tokens come out."""

    slots: tuple[Slot, ...]
    stages: tuple[str, ...]
    tokens: bool


_found: dict[str, Findings] = {}  # of this process: an architecture with its options is traced once


def discover(net: Any, architecture: str, options: dict[str, Any]) -> Findings:
    """Find the slots of the trunk of a timm model.

    Args:
        net: The trunk, before anything was inserted into it.
        architecture: Its name in timm.
        options: What it was built with.

    Raises:
        InvalidValue: The model runs neither on wide images nor on those it was trained with.
    """
    key = f"{architecture.partition('.')[0]} {sorted(options.items())}"
    if key not in _found:
        anatomy = _anatomy(net, architecture, options)
        ends = tuple(anatomy.calls[stage.end].path for stage in anatomy.stages)
        tokens = any(len(anatomy.nodes[node].shape) == 3 for node in anatomy.result)
        _found[key] = Findings(tuple(_slots(anatomy)), ends, tokens)
    return _found[key]


def _anatomy(net: Any, architecture: str, options: dict[str, Any]) -> Anatomy:
    own = tuple(net.pretrained_cfg.get("input_size", (3, 224, 224))[1:])
    if "img_size" in options:
        own = (options["img_size"],) * 2
    features = [info["module"] for info in net.feature_info if info.get("module")]
    for size in (_SIZE, own):
        try:
            record = trace(net, (1, net.in_chans, *size))
        except Exception as error:
            problem = error
            continue
        return Anatomy(record, features, channels_last=getattr(net, "output_fmt", None) == "NHWC")
    raise InvalidValue(
        f"The slots of timm/{architecture} cannot be found: it does not run ({problem})."
    ) from problem


def _slots(anatomy: Anatomy) -> Iterator[Slot]:
    for stage, parts in enumerate(anatomy.stages, start=1):
        for number, block in enumerate(parts.blocks, start=1):
            yield from _block_slots(anatomy, block, stage=stage, number=number)
        yield from _after("stage", anatomy, _stage_end(anatomy, parts), stage=stage)


def _block_slots(anatomy: Anatomy, block: Block, *, stage: int, number: int) -> Iterator[Slot]:
    branches = [
        end for add, end in anatomy.branches.items() if anatomy.nodes[add].call in block.calls
    ]
    conv = _spatial_convolution(anatomy, block, branches)
    if conv is not None:
        module: Any = conv.module
        yield Slot(
            kind="conv",
            path=conv.path,
            how="replace",
            channels=module.in_channels,
            out_channels=module.out_channels,
            stride=module.stride[0],
            stage=stage,
            block=number,
        )
    for branch in branches:
        yield from _after(
            "branch", anatomy, _branch_end(anatomy, branch, block.calls), stage=stage, block=number
        )
    end = anatomy.calls[block.end]
    place = _place(anatomy, end.outputs[:1], [block.end] if end.single else block.calls)
    yield from _after("block", anatomy, place, stage=stage, block=number)


def _after(
    kind: Literal["branch", "block", "stage"],
    anatomy: Anatomy,
    call: Call | None,
    *,
    stage: int,
    block: int | None = None,
) -> Iterator[Slot]:
    if call is not None:
        shape = anatomy.nodes[call.outputs[0]].shape
        layout = anatomy.layout(shape) or "channels_first"
        yield Slot(
            kind=kind,
            path=call.path,
            how="after",
            channels=shape[1] if layout == "channels_first" else shape[-1],
            stage=stage,
            block=block,
            layout=layout,
        )


def _place(anatomy: Anatomy, nodes: Sequence[int], within: Iterable[int]) -> Call | None:
    """Return the call, among some, that gave a map: the last with weights of its own, else the last."""
    if not nodes or anatomy.layout(anatomy.nodes[nodes[0]].shape) is None:
        return None
    allowed = set(within)
    given = [i for i in anatomy.givers[nodes[0]] if i in allowed]
    # An attention stands before these.
    drops = [i for i in given if isinstance(anatomy.calls[i].module, DropPath)]
    given = [i for i in given if not any(drop in (i, *anatomy.inside(i)) for drop in drops)]
    found = [call for call in (anatomy.calls[i] for i in given) if anatomy.times[call.path] == 1]
    weighted = [call for call in found if any(True for _ in call.module.parameters())]
    return next(reversed(weighted or found), None)


def _branch_end(anatomy: Anatomy, node: int, within: range) -> Call | None:
    """Return the call after which a residual branch ends, looking back over scales and views."""
    while (call := _place(anatomy, [node], within)) is None:
        made = anatomy.nodes[node]
        whole = [p for p in made.parents if prod(anatomy.nodes[p].shape) >= prod(made.shape)]
        if made.function not in _PASSED or len(whole) != 1:
            return None
        node = whole[0]
    return call


def _stage_end(anatomy: Anatomy, stage: Stage) -> Call | None:
    """Prefer the last block to what is around it: timm iterates over its stages and checkpoints them."""
    nodes = anatomy.calls[stage.end].outputs[:1]
    choices = [stage.blocks[-1].end, *anatomy.inside(stage.end), stage.end]
    plain = [i for i in choices if not isinstance(anatomy.calls[i].module, nn.Sequential)]
    return next((call for i in (*plain, *choices) if (call := _place(anatomy, nodes, [i]))), None)


def _spatial_convolution(anatomy: Anatomy, block: Block, branches: Sequence[int]) -> Call | None:
    """Return the call of the block's last spatial convolution; one that keeps the shape goes before others."""
    on_branch = 0
    for branch in branches:
        on_branch |= anatomy.nodes[branch].ancestors
    found = [
        call for call in (anatomy.calls[i] for i in block.calls) if _replaceable(anatomy, call)
    ]
    found = [call for call in found if not branches or on_branch >> call.outputs[0] & 1]
    keeping = [call for call in found if _keeps_shape(call.module)]
    return next(reversed(keeping or found), None)


def _replaceable(anatomy: Anatomy, call: Call) -> bool:
    conv = call.module
    if (
        not isinstance(conv, nn.Conv2d)
        or max(conv.kernel_size) == 1
        or conv.stride[0] != conv.stride[1]
    ):
        return False
    if anatomy.times[call.path] > 1 or len(call.inputs) != 1 or len(call.outputs) != 1:
        return False
    before, after = (anatomy.nodes[node].shape for node in (call.inputs[0], call.outputs[0]))
    sizes_kept = all(
        ceil(b / conv.stride[0]) == a for b, a in zip(before[2:], after[2:], strict=True)
    )
    return anatomy.is_map(after) and sizes_kept and conv.kernel_size[0] % 2 == 1


def _keeps_shape(conv: Any) -> bool:
    return bool(conv.in_channels == conv.out_channels and conv.stride[0] == 1)

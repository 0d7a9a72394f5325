"""The slots of a timm model, read off a traced run.

Stages end where timm's own feature information says; an entry without blocks is a stem, not a stage.
Blocks are the repeated parts of a stage. A branch is what is added to a shortcut: its slot stands after
the last module before that addition. What cannot be told from the trace is left out, never guessed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, Literal, NamedTuple

from torch import nn

from zoo import Slot
from zoo_timm.trace import Call, Trace, trace

_WEIGHS = {"conv2d", "linear"}
_ADDS = {"add", "add_", "__add__", "__radd__", "__iadd__"}
HEIGHT, WIDTH = 256, 320  # of the traced image: sides that no layout confuses

_KEEPS = {"mul", "mul_", "__mul__", "__rmul__", "__imul__", "div", "contiguous", "permute"}


@dataclass(frozen=True)
class Stage:
    """One stage: the call that ends it, and the calls of its blocks."""

    end: int
    blocks: tuple[int, ...]


class Anatomy:
    """The stages, blocks and residual branches that a trace shows."""

    def __init__(self, record: Trace, features: Sequence[str]) -> None:
        self.nodes, self.calls = record.nodes, record.calls
        self.times = Counter(call.path for call in self.calls)
        self.givers: dict[int, list[int]] = defaultdict(list)
        for index, call in enumerate(self.calls):
            if call.output is not None:
                self.givers[call.output].append(index)
        self.weighing = sum(
            1 << index
            for index, node in enumerate(self.nodes)
            if node.function in _WEIGHS and _is_spread(node.shape, node.function)
        )
        self.branches = {
            index: b for index in range(len(self.nodes)) if (b := self._branch(index)) is not None
        }
        self.adding = {self.nodes[index].call for index in self.branches}
        self.stages = tuple(self._stages(features))

    def layers(self, first: int, stop: int) -> int:
        """Count the convolutions and linear layers over positions among the nodes of a range."""
        return (self.weighing >> first & ((1 << (stop - first)) - 1)).bit_count()

    def inside(self, index: int) -> range:
        """Return the calls made within a call."""
        return range(index + 1, self.calls[index].last + 1)

    def _branch(self, index: int) -> int | None:
        """Return the operand of an addition that is a residual branch, if one is."""
        node = self.nodes[index]
        if node.function not in _ADDS or len(node.parents) != 2:
            return None
        a, b = (self.nodes[parent] for parent in node.parents)
        if a.shape != b.shape or len(a.shape) < 3:
            return None
        only_a, only_b = a.ancestors & ~b.ancestors, b.ancestors & ~a.ancestors
        depths = [(own & self.weighing).bit_count() for own in (only_a, only_b)]
        if only_a and only_b:  # both were computed: they must part at the input of the module
            first = self.calls[node.call].first if node.call >= 0 else 0
            if (a.ancestors & b.ancestors).bit_length() > first:
                return None
            depths = [
                (own >> first & self.weighing >> first).bit_count() for own in (only_a, only_b)
            ]
        if depths[0] == depths[1]:
            return None
        return node.parents[0] if depths[0] > depths[1] else node.parents[1]

    def _stages(self, features: Sequence[str]) -> Iterator[Stage]:
        begin = 0
        for path in features:
            ends = [i for i, call in enumerate(self.calls) if call.path == path]
            if not ends:
                continue
            end, parent = ends[-1], path.rpartition(".")[0]
            tops = [
                i
                for i in range(begin, end + 1)
                if self.calls[i].path.rpartition(".")[0] == parent
                and self.calls[i].last <= self.calls[end].last
            ]
            begin = self.calls[end].last + 1
            blocks = tuple(block for top in tops for block in self._blocks(top))
            if blocks and "stem" not in path:
                yield Stage(end, blocks)

    def _blocks(self, index: int) -> list[int]:
        call = self.calls[index]
        if self.layers(call.first, call.stop) <= 1:
            return []
        if index in self.adding:
            return [index]
        parts = [
            c for c in call.children if self.layers(self.calls[c].first, self.calls[c].stop) > 1
        ]
        if not parts:
            return [] if isinstance(call.module, nn.Sequential) else [index]
        if not all(self._follows(a, b) for a, b in pairwise(parts)):
            return [index]
        return [block for part in parts for block in self._blocks(part)] or [index]

    def _follows(self, first: int, second: int) -> bool:
        """Whether a call takes what an earlier one gave."""
        made = range(self.calls[first].first, self.calls[first].stop)
        inputs = self.calls[second].inputs
        return any(self.nodes[i].ancestors >> made.start & ((1 << len(made)) - 1) for i in inputs)

    def place(self, node: int | None, within: Iterable[int]) -> Call | None:
        """Return the call, among some, after which a tensor can be taken as a map: the last that gave it."""
        if node is None or not is_map(self.nodes[node].shape):
            return None
        allowed = set(within)
        found = [
            self.calls[i]
            for i in self.givers[node]
            if i in allowed and self.times[self.calls[i].path] == 1
        ]
        found = [call for call in found if "DropPath" not in _kinds(call.module)] or found
        return next(
            (c for c in reversed(found) if any(True for _ in c.module.parameters())),
            next(reversed(found), None),
        )

    def branch_end(self, node: int, within: range) -> Call | None:
        """Return the call after which a residual branch ends, looking back over scales and views."""
        while (call := self.place(node, within)) is None:
            made = self.nodes[node]
            same = [p for p in made.parents if prod(self.nodes[p].shape) == prod(made.shape)]
            if made.function not in _KEEPS or len(same) != 1:
                return None
            node = same[0]
        return call


class Findings(NamedTuple):
    """What discovery found: slots in the order of the network, and the modules whose outputs end the stages."""

    slots: tuple[Slot, ...]
    stages: tuple[str, ...]


_found: dict[str, Findings] = {}  # of this process: an architecture with its options is traced once


def discover(net: Any, architecture: str, options: dict[str, Any]) -> Findings:
    """Find the slots of the trunk of a timm model.

    Args:
        net: The trunk, before anything was inserted into it.
        architecture: Its name in timm.
        options: What it was built with.
    """
    key = f"{architecture.partition('.')[0]} {sorted(options.items())}"
    if key not in _found:
        record = trace(net, (1, net.in_chans, HEIGHT, WIDTH))
        _found[key] = slots_of(record, [info["module"] for info in net.feature_info])
    return _found[key]


def slots_of(record: Trace, features: Sequence[str]) -> Findings:
    """Return the slots that a trace shows.

    Args:
        record: A traced run of the model.
        features: Paths of the modules that timm's feature information names.
    """
    anatomy = Anatomy(record, features)
    slots: list[Slot] = []
    for stage, parts in enumerate(anatomy.stages, start=1):
        for block, index in enumerate(parts.blocks, start=1):
            slots += _block_slots(anatomy, index, stage=stage, block=block)
        slots += _stage_slot(anatomy, parts, stage=stage)
    return Findings(tuple(slots), tuple(anatomy.calls[stage.end].path for stage in anatomy.stages))


def _block_slots(anatomy: Anatomy, index: int, *, stage: int, block: int) -> Iterator[Slot]:
    within = anatomy.inside(index)
    own = {index, *within}
    branches = [b for add, b in anatomy.branches.items() if anatomy.nodes[add].call in own]
    conv = _spatial_convolution(anatomy, index, branches)
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
            block=block,
        )
    for branch in branches:
        yield from _after(
            "branch", anatomy, anatomy.branch_end(branch, within), stage=stage, block=block
        )
    yield from _after(
        "block",
        anatomy,
        anatomy.place(anatomy.calls[index].output, [index]),
        stage=stage,
        block=block,
    )


def _stage_slot(anatomy: Anatomy, parts: Stage, *, stage: int) -> Iterator[Slot]:
    """Prefer the last block to the container: timm iterates over its stages and checkpoints them."""
    end = anatomy.calls[parts.end]
    choices = [parts.blocks[-1], *anatomy.inside(parts.end), parts.end]
    choices = [i for i in choices if anatomy.calls[i].output == end.output]
    plain = [i for i in choices if not isinstance(anatomy.calls[i].module, nn.Sequential)]
    place = next((c for i in plain or choices if (c := anatomy.place(end.output, [i]))), None)
    yield from _after("stage", anatomy, place, stage=stage, block=None)


def _after(
    kind: Literal["branch", "block", "stage"],
    anatomy: Anatomy,
    call: Call | None,
    *,
    stage: int,
    block: int | None,
) -> Iterator[Slot]:
    if call is not None and call.output is not None:
        channels = anatomy.nodes[call.output].shape[1]
        yield Slot(
            kind=kind, path=call.path, how="after", channels=channels, stage=stage, block=block
        )


def _spatial_convolution(anatomy: Anatomy, index: int, branches: Sequence[int]) -> Call | None:
    """Return the call of the block's last spatial convolution; one that keeps shape goes before others."""
    on_branch = 0
    for branch in branches:
        on_branch |= anatomy.nodes[branch].ancestors
    found = [
        call
        for call in (anatomy.calls[i] for i in (index, *anatomy.inside(index)))
        if isinstance(call.module, nn.Conv2d)
        and max(call.module.kernel_size) > 1
        and len(call.inputs) == 1
        and call.output is not None
        and is_map(anatomy.nodes[call.output].shape)
        and anatomy.times[call.path] == 1
        and (not branches or on_branch >> call.output & 1)
    ]
    keeping = [call for call in found if _keeps_shape(call.module)]
    return next(reversed(keeping or found), None)


def _keeps_shape(module: nn.Module) -> bool:
    return module.in_channels == module.out_channels and module.stride in ((1, 1), 1)


def _kinds(module: nn.Module) -> set[str]:
    return {type(part).__name__ for part in module.modules()}


def _is_spread(shape: Sequence[int], function: str) -> bool:
    """Whether a layer's output has more than one position: layers on pooled vectors do not count."""
    return prod(shape[2:] if function == "conv2d" else shape[1:-1]) > 1


def is_map(shape: Sequence[int]) -> bool:
    """Whether a shape of the traced run is (N, C, H, W); the traced image is wider than high."""
    return len(shape) == 4 and shape[2] > 1 and _is_wide(shape[2:]) and not _is_wide(shape[1:3])


def _is_wide(sides: Sequence[int]) -> bool:
    high, wide = sides
    return abs(wide / high - WIDTH / HEIGHT) < 0.12

"""The stages, blocks and residual branches of a network, read off a traced run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

from torch import nn

from zoo_timm.trace import Shape, Trace

Layout = Literal["channels_first", "channels_last"]

_WEIGHS = {"conv2d", "linear"}
_ADDS = {"add", "add_", "__add__", "__radd__", "__iadd__"}
# How timm names what stands before and between stages.
_NO_BLOCKS = ("stem", "patch_embed", "downsample")


@dataclass(frozen=True)
class Block:
    """One block: the call that ends it, and all calls made in it."""

    end: int
    calls: range


@dataclass(frozen=True)
class Stage:
    """One stage: the call that ends it, and its blocks."""

    end: int
    blocks: tuple[Block, ...]


class Anatomy:
    """What a trace shows. Nodes and calls go by their index in it.

    Args:
        record: A traced run.
        features: Paths of the modules that timm's feature information names, where stages may end.
        channels_last: Whether the model computes in (N, H, W, C).

    Attributes:
        branches: For each addition to a shortcut, the node that is added: the end of a residual branch.
        stages: The stages, in the order of the network. The parts before the first block are in none.
    """

    def __init__(
        self, record: Trace, features: Iterable[str] = (), *, channels_last: bool = False
    ) -> None:
        self.nodes, self.calls, self.result = record.nodes, record.calls, record.result
        self.channels_last = channels_last
        self.aspect = self.nodes[0].shape[3] / self.nodes[0].shape[2]
        self.times = Counter(call.path for call in self.calls)
        self.givers: dict[int, list[int]] = defaultdict(list)
        for index, call in enumerate(self.calls):
            if call.single:
                for node in call.outputs:
                    self.givers[node].append(index)
        self.weighing = sum(
            1 << index
            for index, node in enumerate(self.nodes)
            if node.function in _WEIGHS
            and prod(node.shape[2:] if node.function == "conv2d" else node.shape[1:-1]) > 1
        )
        found = ((index, self._branch(index)) for index in range(len(self.nodes)))
        self.branches = {index: branch for index, branch in found if branch is not None}
        self._adding = {self.nodes[index].call for index in self.branches}
        self._kinds = {type(self.calls[index].module) for index in self._adding if index >= 0}
        self.stages = tuple(self._stages(set(features)))

    def inside(self, index: int) -> range:
        """Return the calls made within a call."""
        return range(index + 1, self.calls[index].last + 1)

    def layout(self, shape: Shape) -> Layout | None:
        """How a map with the proportions of the image lies: (N, C, H, W) or (N, H, W, C); None for no map."""
        if len(shape) != 4:
            return None
        first, last = (
            abs(wide / high - self.aspect) if high > 1 else 1.0
            for high, wide in (shape[2:], shape[1:3])
        )
        if min(first, last) >= 0.12:
            return None
        is_last = last < first or (last == first and self.channels_last)
        return "channels_last" if is_last else "channels_first"

    def is_map(self, shape: Shape) -> bool:
        """Whether a shape is (N, C, H, W) of a map with the proportions of the image."""
        return self.layout(shape) == "channels_first"

    def positions(self, index: int) -> int:
        """Return the number of positions in what a call gave; of the first tensor, if of several."""
        outputs = self.calls[index].outputs
        shape = self.nodes[outputs[0]].shape if outputs else (1, 1, 1)
        return prod(shape[2:]) if self.is_map(shape) else prod(shape[1:-1])

    def _weight(self, bits: int, first: int = 0, stop: int | None = None) -> int:
        """Count the layers (convolutions, linear layers over positions) among nodes given as bits."""
        bits = (bits & self.weighing) >> first
        return (bits if stop is None else bits & ((1 << (stop - first)) - 1)).bit_count()

    def _layers(self, index: int) -> int:
        call = self.calls[index]
        return self._weight(self.weighing, call.first, call.stop)

    def _branch(self, index: int) -> int | None:
        """Return the operand of an addition that is a residual branch, if one is."""
        node = self.nodes[index]
        if node.function not in _ADDS or len(node.parents) != 2:
            return None
        a, b = (self.nodes[parent] for parent in node.parents)
        if a.shape != b.shape or len(a.shape) < 3:
            return None
        only_a, only_b = a.ancestors & ~b.ancestors, b.ancestors & ~a.ancestors
        first = 0
        if (
            only_a and only_b
        ):  # both were computed: no layer may stand before they part in this module
            first = self.calls[node.call].first if node.call >= 0 else 0
            if self._weight(a.ancestors & b.ancestors, first):
                return None
        depth_a, depth_b = self._weight(only_a, first), self._weight(only_b, first)
        if depth_a == depth_b:
            return None
        return node.parents[0] if depth_a > depth_b else node.parents[1]

    def _stages(self, features: set[str]) -> Iterator[Stage]:
        ends = [b for i, call in enumerate(self.calls) if call.parent < 0 for b in self._blocks(i)]
        blocks = [Block(end, range(end, self.calls[end].last + 1)) for end in ends] or [
            *self._plain_blocks()
        ]
        borders = [call.last for call in self.calls if call.path in features]
        groups: list[list[Block]] = []
        for block in blocks:
            if not groups or self._parted(groups[-1][-1].end, block.end, borders):
                groups.append([])
            groups[-1].append(block)
        for group in groups:
            others = {block.end for block in blocks if block not in group}
            yield Stage(self._end(group[-1].end, others), tuple(group))

    def _parted(self, before: int, block: int, borders: list[int]) -> bool:
        """Whether a stage ends between two blocks: fewer positions, or other channels where timm has a border."""
        if self.positions(block) < 0.7 * self.positions(before):
            return True
        outputs = [self.calls[i].outputs[:1] for i in (before, block)]
        channels = [self.nodes[o[0]].shape[1:2] if o else () for o in outputs]
        between = any(self.calls[before].last <= border < block for border in borders)
        return between and channels[0] != channels[1]

    def _end(self, last: int, others: set[int]) -> int:
        """Return the call that ends a stage: the widest around its last block that holds no other's block."""
        end = index = last
        while (index := self.calls[index].parent) >= 0 and others.isdisjoint(self.inside(index)):
            if self.positions(index) == self.positions(last):
                end = index
        return end

    def _blocks(self, index: int) -> list[int]:
        """Return the blocks in a call: the parts that add to a shortcut, those like them, or made of layers."""
        call = self.calls[index]
        if call.path.rpartition(".")[2].startswith(_NO_BLOCKS):
            return []
        if index in self._adding or type(call.module) in self._kinds:
            return [index]
        chain = isinstance(call.module, nn.Sequential)
        parts = [c for c in call.children if self._layers(c) > 1 or c in self._adding]
        if not parts:
            return [] if chain or self._layers(index) <= 1 else [index]
        wraps = chain and parts[0] in self._adding and self._layers(index) > self._layers(parts[0])
        if (wraps and len(parts) == 1) or not all(self._follows(a, b) for a, b in pairwise(parts)):
            return [index]
        found = [block for part in parts for block in self._blocks(part)]
        if (not found and not chain) or (
            self._gives_map(index) and not all(map(self._gives_map, found))
        ):
            return [index]
        return found

    def _gives_map(self, index: int) -> bool:
        return any(self.layout(self.nodes[node].shape) for node in self.calls[index].outputs[:1])

    def _follows(self, first: int, second: int) -> bool:
        """Whether a call takes what an earlier one gave."""
        made = self.calls[first]
        new = (1 << made.stop) - (1 << made.first)
        return any(self.nodes[node].ancestors & new for node in self.calls[second].inputs)

    def _plain_blocks(self) -> Iterator[Block]:
        """In a plain chain of layers a block is a convolution and what follows it up to the next, or to pooling."""
        leaves = [i for i, call in enumerate(self.calls) if not call.children and call.single]
        begin: int | None = None
        for leaf, after in pairwise([*leaves, -1]):
            begin = leaf if self._layers(leaf) else begin
            if begin is None:
                continue
            if after < 0 or self._layers(after) or self.positions(after) != self.positions(leaf):
                yield Block(leaf, range(begin, leaf + 1))
                begin = None

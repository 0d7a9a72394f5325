"""One run of a model on the meta device: which module was called with what, and what was computed of what.

The model itself is not touched: the run is on a copy whose parameters have shapes but no memory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Shape = tuple[int, ...]


@dataclass
class Node:
    """One tensor that was computed: by which function, of which others, in which module call."""

    function: str
    parents: tuple[int, ...]
    shape: Shape
    call: int  # -1: in the model itself
    ancestors: int  # bit k is set if node k is one; itself included


@dataclass
class Call:
    """One call of one module. The nodes computed in it are `range(first, stop)`."""

    path: str
    module: nn.Module
    parent: int  # -1: called by the model itself
    inputs: tuple[int, ...]
    first: int
    stop: int = -1
    last: int = -1  # the last call that began before this one ended
    outputs: tuple[int, ...] = ()
    single: bool = False  # whether the output is one tensor, not several
    children: list[int] = field(default_factory=list)


class Trace(TorchFunctionMode):
    """The record of a run. `nodes` and `calls` are in the order in which they began; `result` are the nodes of the output."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.calls: list[Call] = []
        self.result: tuple[int, ...] = ()
        self._open: list[int] = []
        self._node_of: dict[int, int] = {}
        self._alive: list[Tensor] = []  # so that no id is used twice

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        parents = self.known((args, kwargs))
        result = func(*args, **kwargs)
        name = func.__name__
        in_place = name.endswith("_") or True in [
            kwargs.get("inplace"),
            *(a for a in args if a is True),
        ]
        for tensor in _tensors(result):
            if id(tensor) not in self._node_of or in_place:
                self.add(tensor, name, parents)
        return result

    def add(self, tensor: Tensor, function: str, parents: tuple[int, ...]) -> None:
        """Record a tensor as a new node."""
        ancestors = 1 << len(self.nodes)
        for parent in parents:
            ancestors |= self.nodes[parent].ancestors
        self._node_of[id(tensor)] = len(self.nodes)
        self._alive.append(tensor)
        call = self._open[-1] if self._open else -1
        self.nodes.append(Node(function, parents, tuple(tensor.shape), call, ancestors))

    def known(self, values: Any) -> tuple[int, ...]:
        """Return the nodes of the tensors in nested values, each once; parameters are no nodes."""
        nodes = (self._node_of.get(id(tensor)) for tensor in _tensors(values))
        return tuple(dict.fromkeys(node for node in nodes if node is not None))

    def enter(self, path: str, module: nn.Module, values: Any) -> None:
        """Note that a call begins."""
        parent = self._open[-1] if self._open else -1
        if parent >= 0:
            self.calls[parent].children.append(len(self.calls))
        self._open.append(len(self.calls))
        self.calls.append(Call(path, module, parent, self.known(values), len(self.nodes)))

    def leave(self, result: Any) -> None:
        """Note that the innermost call ends."""
        call = self.calls[self._open.pop()]
        call.stop, call.last = len(self.nodes), len(self.calls) - 1
        call.outputs, call.single = self.known(result), isinstance(result, Tensor)


def trace(model: Any, shape: Shape) -> Trace:
    """Run `model.forward_features` on an input of a shape, and return the record."""
    model = _on_meta(model).eval()
    record = Trace()
    for path, module in model.named_modules():
        if path:
            module.register_forward_pre_hook(_entry(record, path), with_kwargs=True)
            module.register_forward_hook(lambda _module, _args, result: record.leave(result))
    x = torch.empty(shape, device="meta")
    record.add(x, "input", ())
    with torch.no_grad(), record:
        record.result = record.known(model.forward_features(x))
    return record


def _entry(record: Trace, path: str) -> Callable[..., None]:
    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        record.enter(path, module, (args, kwargs))

    return enter


def _on_meta(model: Any) -> Any:
    """Copy a model with its parameters and buffers on the meta device."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.detach().to("meta")
    return copy.deepcopy(model, memo)


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        for value in values.values():
            yield from _tensors(value)

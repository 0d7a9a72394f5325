"""Parameters: registered, reached by a gradient, and still there after a step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from zoo.testing.outcomes import Failed, Outcome, Passed, Skipped
from zoo.testing.subject import Subject, difference


def leaves(y: Tensor) -> Iterator[Tensor]:
    """Walk back from an output to all tensors that a backward pass would give a gradient."""
    stack: list[Any] = [y.grad_fn]
    seen = set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        stack += [following for following, _ in node.next_functions]


def weighed(y: Tensor) -> Tensor:
    """A loss that no softmax or norm makes constant."""
    generator = torch.Generator().manual_seed(3)
    return (y * torch.randn(y.shape, generator=generator).to(y)).sum()


def parameters_registered(subject: Subject) -> Outcome:
    """Look for trained tensors that an optimiser would not get."""
    module = subject.build()
    y = subject.run(module, subject.draw())
    known = {id(parameter) for parameter in module.parameters()}
    strays = [leaf for leaf in leaves(y) if id(leaf) not in known]
    if not strays:
        return Passed()
    shapes = ", ".join(str(tuple(stray.shape)) for stray in strays[:4])
    where = _plain_holders(module)
    return Failed(
        "every trained tensor to be in parameters() (use nn.Parameter, nn.ModuleList, nn.ModuleDict)",
        f"{len(strays)} that are not, of shape {shapes}{f'; look at {where}' if where else ''}",
    )


def parameters_stay(subject: Subject) -> Outcome:
    """Compare the objects before and after a call and a step of an optimiser."""
    module, x = subject.build().train(), subject.draw(batch=3)
    before = dict(module.named_parameters())
    if not before:
        return Skipped("it has no parameters")
    y = subject.run(module, x)
    if name := _replaced(before, module):
        return Failed(f"{name!r} to stay the same object", "a call makes it anew")
    if not y.requires_grad:
        return Skipped("no gradient reaches any of its parameters; see `gradient`")
    optimizer = torch.optim.SGD(before.values(), lr=0.1)
    torch.autograd.backward(weighed(y))
    reached = {
        name: parameter.detach().clone()
        for name, parameter in before.items()
        if parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any()
    }
    optimizer.step()
    subject.run(module, x)
    if name := _replaced(before, module):
        return Failed(f"{name!r} to stay the same object", "it is another one after a step")
    for name, old in reached.items():
        if difference(dict(module.named_parameters())[name], old, rtol=0, atol=0) is None:
            return Failed(f"{name!r} to be changed by a step", "it has its old values")
    return Passed()


def gradient(subject: Subject) -> Outcome:
    """Run a backward pass in training."""
    module, x = subject.build().train(), subject.draw(batch=3)
    if not subject.takes_tokens:
        x.requires_grad_()
    torch.autograd.backward(weighed(subject.run(module, x)))
    without = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    if without:
        return Failed("every parameter to get a gradient", f"none for {', '.join(without[:4])}")
    if not subject.takes_tokens and (x.grad is None or not x.grad.any()):
        return Failed("the input to get a gradient", "none" if x.grad is None else "zeros")
    return Passed()


def _replaced(before: dict[str, nn.Parameter], module: nn.Module) -> str | None:
    now = dict(module.named_parameters())
    return next((name for name, old in before.items() if now.get(name) is not old), None)


def _plain_holders(module: nn.Module) -> str:
    """Name attributes that hold modules or tensors where torch does not look for them."""
    found = []
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            inside = value.values() if isinstance(value, dict) else value
            if name.startswith("_") or not isinstance(value, list | tuple | dict):
                continue
            if any(isinstance(one, nn.Module | Tensor) for one in inside):
                found.append(f"the {type(value).__name__} `{path}{'.' if path else ''}{name}`")
    return ", ".join(found[:3])

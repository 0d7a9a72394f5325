"""The same again: from one call, sample, copy or instance to the next."""

from __future__ import annotations

import copy

import torch
from torch import nn

from zoo.testing.outcomes import Failed, Outcome, Passed
from zoo.testing.subject import Subject, difference


def input_unchanged(subject: Subject) -> Outcome:
    """Look at the input after a call, with and without gradients, in both modes."""
    for mode in (False, True):
        for grad in (False, True):
            module = subject.build().train(mode)
            x = subject.draw()
            before = x.clone()
            with torch.set_grad_enabled(grad):
                module(x)
            if gap := difference(x, before, rtol=0, atol=0):
                where = (
                    f"{'training' if mode else 'eval'} mode, gradients {'on' if grad else 'off'}"
                )
                return Failed(f"the input as it was ({where})", gap)
    return Passed()


def deterministic(subject: Subject) -> Outcome:
    """Call it twice, from two states of the random generator."""
    module, x = subject.build(), subject.draw()
    outputs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        outputs.append(module(x.clone()))
    if gap := difference(outputs[1], outputs[0], rtol=0, atol=0):
        return Failed("the same output from two calls in eval mode", gap)
    return Passed()


def no_grad(subject: Subject) -> Outcome:
    """Call it with gradients and in inference mode, where modules may take a shorter road."""
    module, x = subject.build(), subject.draw()
    with torch.inference_mode():
        found = subject.run(module, x)
    if not subject.takes_tokens:
        x.requires_grad_()
    if gap := difference(found, subject.run(module, x)):
        return Failed("the same output without gradients as with them", gap)
    return Passed()


def batch_independence(subject: Subject) -> Outcome:
    """Change the neighbours of a sample; and leave it alone."""
    module = subject.build()
    x = subject.draw(batch=3)
    other = torch.cat([x[:1], subject.draw(batch=2, seed=7)])
    expected = subject.run(module, x)[:1]
    if gap := difference(subject.run(module, other)[:1], expected):
        return Failed("a sample's output not to depend on its neighbours in the batch", gap)
    if deterministic(subject) != Passed():
        return Passed()  # another batch draws other numbers; `deterministic` reports it
    if gap := difference(subject.run(module, x[:1]), expected):
        return Failed("a sample's output to be the same alone as in a batch", gap)
    return Passed()


def state_dict(subject: Subject) -> Outcome:
    """Give the state to a second instance."""
    module, x = subject.build(), subject.draw()
    other = subject.make(from_seed=99).eval()
    with torch.no_grad():  # as if another training had left it so
        _shift(other)
    other.load_state_dict(module.state_dict())
    if gap := difference(subject.run(other, x), subject.run(module, x), rtol=0, atol=0):
        return Failed("the same output from another instance with the same state_dict", gap)
    return Passed()


def deepcopy(subject: Subject) -> Outcome:
    """Copy it after a call that gradients were kept of, and change the copy."""
    module, x = subject.build(), subject.draw()
    subject.run(module, x)
    other = copy.deepcopy(module)
    with torch.no_grad():
        before = subject.run(module, x)
        if gap := difference(subject.run(other, x), before, rtol=0, atol=0):
            return Failed("the same output from a deep copy", gap)
        _shift(other)
        if gap := difference(subject.run(module, x), before, rtol=0, atol=0):
            return Failed("its output as it was after its copy was changed", gap)
        _shift(module)
        if gap := difference(subject.run(other, x), subject.run(module, x), rtol=0, atol=0):
            return Failed("a copy to use its own parameters", gap)
    return Passed()


def _shift(module: nn.Module) -> None:
    for parameter in module.parameters():
        if parameter.is_floating_point():
            parameter.add_(1.0)

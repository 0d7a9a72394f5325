"""Masks: what is masked out changes nothing, or the component says that it cannot honour a mask."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from zoo.testing.gradients import weighed
from zoo.testing.outcomes import Failed, Outcome, Passed, Skipped
from zoo.testing.subject import Subject, difference

PADDING = 3
GARBAGE = (0.0, 5.0, -1e4)
NO_NUMBERS = (math.nan, math.inf, -math.inf)


def if_it_takes_masks(check: Callable[[Subject], Outcome]) -> Callable[[Subject], Outcome]:
    """Skip a check of masks where the component refuses them."""

    @wraps(check)
    def asked(subject: Subject) -> Outcome:
        if not subject.component.mask:
            return Skipped("Component(mask=False): models refuse a mask")
        return check(subject)

    return asked


@if_it_takes_masks
def mask_full(subject: Subject) -> Outcome:
    """Compare a full mask with none."""
    module, x = subject.build(), subject.draw()
    expected = subject.run(module, x)
    try:
        found = subject.run(module, x, _mask_for(subject, x))
    except TypeError as error:
        return Failed("forward(x, mask=None), or Component(mask=False)", f"TypeError: {error}")
    if gap := difference(found, expected):
        return Failed("the same output with a full mask as without one", gap)
    return Passed()


@if_it_takes_masks
def mask(subject: Subject) -> Outcome:
    """Pad with several values, and compare what is real with what comes out without padding."""
    module = subject.build()
    x = subject.draw(_inner(subject))
    expected = subject.run(module, x)
    for value in (0, 1) if subject.takes_tokens else GARBAGE:
        padded, real = pad(x, value, axes=len(subject.home))
        found = subject.run(module, padded, real)
        if gap := difference(crop(found, expected), expected, atol=1e-4):
            return Failed(
                f"the output at real positions as without padding (padded with {value:g})", gap
            )
        if not found.isfinite().all():
            return Failed("finite values at masked positions, too", "NaN or infinity")
    return Passed()


@if_it_takes_masks
def mask_garbage(subject: Subject) -> Outcome:
    """Pad with what is no number: multiplied by 0 it stays what it is."""
    if subject.takes_tokens:
        return Skipped("it takes token numbers, all of them finite")
    module, x = subject.build(), subject.draw(_inner(subject))
    expected = subject.run(module, x)
    for value in NO_NUMBERS:
        padded, real = pad(x, value, axes=len(subject.home))
        found = subject.run(module, padded, real)
        if gap := difference(crop(found, expected), expected, atol=1e-4):
            return Failed(
                f"the output at real positions as without padding (padded with {value}; replace it, as "
                "torch.where does, in place of a product with the mask)",
                gap,
            )
    return Passed()


@if_it_takes_masks
def mask_gradient(subject: Subject) -> Outcome:
    """Compare gradients with and without padding."""
    if subject.takes_tokens:
        return Skipped("it takes token numbers, which have no gradient")
    return _same_gradients(subject, training=False)


@if_it_takes_masks
def mask_training(subject: Subject) -> Outcome:
    """Compare outputs, gradients and running statistics with and without padding, in training."""
    if subject.takes_tokens:
        return Skipped("it takes token numbers, which have no gradient")
    x = subject.draw(_inner(subject)).double()
    outputs = []
    for seed in (1, 2):
        module = subject.build().double().train()
        torch.manual_seed(seed)
        outputs.append(module(x.clone()))
    if difference(outputs[1], outputs[0]):
        return Skipped("it draws random numbers in training")
    padded, real = pad(x, 5.0, axes=len(subject.home))
    plain, masked = (subject.build().double().train() for _ in range(2))
    expected = subject.run(plain, x)
    if gap := difference(crop(subject.run(masked, padded, real), expected), expected):
        return Failed("the output at real positions as without padding, in training", gap)
    for (name, wanted), found in zip(plain.named_buffers(), masked.buffers(), strict=True):
        if gap := difference(found, wanted):
            return Failed(f"the statistic {name!r} as without padding, in training", gap)
    return _same_gradients(subject, training=True)


@if_it_takes_masks
def mask_graph(subject: Subject) -> Outcome:
    """Trace it with a mask, as torch.compile does, without a break; nothing is compiled."""
    module, x = subject.build(), subject.draw(_inner(subject))
    padded, real = pad(x, 1 if subject.takes_tokens else 5.0, axes=len(subject.home))
    expected = subject.run(module, padded, real)
    torch._dynamo.reset()
    program: Any = torch.compile(module, backend="eager", fullgraph=True)
    if gap := difference(program(padded, real), expected):
        return Failed("the traced module to give the same numbers", gap)
    return Passed()


@if_it_takes_masks
def mask_map(subject: Subject) -> Outcome:
    """Compare its `attention_map` with and without padding."""
    module, x = subject.build(), subject.draw(_inner(subject))
    if not hasattr(module, "attention_map"):
        return Skipped("it has no method `attention_map`")
    padded, real = pad(x, 5.0, axes=len(subject.home))
    with torch.no_grad():
        expected, found = module.attention_map(x), module.attention_map(padded, real)
    for field, wanted in expected._asdict().items():
        if wanted is None:
            continue
        given = getattr(found, field)
        window = (slice(None), *map(slice, wanted.shape[1:]))
        if gap := difference(given[window], wanted, atol=1e-4):
            return Failed(f"weights ({field}) of real positions as without padding", gap)
        read = field == "spatial" and subject.component.family == "self"
        if read and given[~real].abs().max() > 0:
            return Failed("masked positions to be read by none (family 'self')", "some are")
    return Passed()


@if_it_takes_masks
def mask_empty(subject: Subject) -> Outcome:
    """Mask the whole of one sample."""
    module, x = subject.build(), subject.draw()
    if not subject.takes_tokens:
        x.requires_grad_()
    real = _mask_for(subject, x).clone()
    real[1] = False
    y = subject.run(module, x, real)
    torch.autograd.backward(weighed(y))
    if gap := difference(y[:1], subject.run(module, x[:1])):
        return Failed("a sample's output as alone where its neighbour has no real position", gap)
    if not y.isfinite().all():
        return Failed("finite values where a sample has no real position", "NaN or infinity")
    grads = [("the input", x.grad), *((n, p.grad) for n, p in module.named_parameters())]
    for name, grad in grads:
        if grad is not None and not grad.isfinite().all():
            return Failed(
                f"a finite gradient of {name} where a sample has no real position",
                "NaN or infinity",
            )
    return Passed()


def pad(x: Tensor, value: float, *, axes: int) -> tuple[Tensor, Tensor]:
    """Return x with further positions of `value` at the end of each of its last axes, and its mask."""
    inner = x.shape[x.ndim - axes :]
    wider = [side + PADDING for side in inner]
    window: Any = (..., *(slice(side) for side in inner))
    padded = x.new_full((*x.shape[: x.ndim - axes], *wider), value)
    real = torch.zeros(x.shape[0], *wider, dtype=torch.bool)
    padded[window] = x
    real[window] = True
    return padded, real


def crop(y: Tensor, like: Tensor) -> Tensor:
    """Return the part of y that is there without padding; all of a vector."""
    return y[(slice(None), slice(None), *(slice(side) for side in like.shape[2:]))]


def _same_gradients(subject: Subject, *, training: bool) -> Outcome:
    x = subject.draw(_inner(subject)).double()
    padded, real = pad(x, 5.0, axes=len(subject.home))
    expected = _gradients(subject, x, None, None, training=training)
    like = subject.run(subject.build().double(), x)
    found = _gradients(subject, padded, real, like, training=training)
    found["x"] = crop(found["x"], x)
    for name, wanted in expected.items():
        if gap := difference(found[name], wanted):
            where = ", in training" if training else ""
            return Failed(f"the gradient of {name!r} as without padding{where}", gap)
    return Passed()


def _inner(subject: Subject) -> tuple[int, ...]:
    return tuple(max(side - PADDING, 1) for side in subject.home)


def _mask_for(subject: Subject, x: Tensor) -> Tensor:
    return torch.ones(x.shape[0], *x.shape[x.ndim - len(subject.home) :], dtype=torch.bool)


def _gradients(
    subject: Subject, x: Tensor, real: Tensor | None, like: Tensor | None, *, training: bool
) -> dict[str, Any]:
    module = subject.build().double().train(training)
    x = x.clone().requires_grad_()
    y = subject.run(module, x, real)
    inputs = {"x": x, **dict(module.named_parameters())}
    loss = weighed(y if like is None else crop(y, like))
    grads = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True)
    return {
        name: torch.zeros_like(value) if grad is None else grad
        for (name, value), grad in zip(inputs.items(), grads, strict=True)
    }

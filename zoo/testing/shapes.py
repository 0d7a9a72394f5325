"""Shapes, sizes, widths, dtypes, devices and memory formats."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import InvalidValue
from zoo.testing.outcomes import Failed, Outcome, Passed, Skipped
from zoo.testing.subject import USUAL_CHANNELS, Scoring, Subject, difference


def wrong_shape(subject: Subject, module: Any, x: Tensor, y: Any) -> Failed | None:
    """Compare what came out with what the contract of its kind promises."""
    if not isinstance(y, Tensor):
        return Failed("a tensor", type(y).__name__)
    if subject.kind == "attention":
        expected: tuple[object, ...] = tuple(x.shape)
    elif subject.kind == "head":
        if not isinstance(getattr(module, "out_features", None), int):
            return Failed(
                "an int attribute `out_features`", repr(getattr(module, "out_features", None))
            )
        expected = (x.shape[0], module.out_features)
    else:
        missing = [
            name
            for name in ("ndim", "num_features")
            if type(getattr(module, name, None)) is not int
        ]
        if missing:
            return Failed(
                f"an int attribute `{missing[0]}`", repr(getattr(module, missing[0], None))
            )
        rest = tuple(y.shape[2:]) if y.ndim == module.ndim + 2 else ("*",) * module.ndim
        expected = (x.shape[0], module.num_features, *rest)
    if tuple(y.shape) == expected:
        return None
    wanted = f"({', '.join(map(str, expected))})"
    return Failed(f"shape {wanted} for an input {tuple(x.shape)}", f"{tuple(y.shape)}")


def shape(subject: Subject) -> Outcome:
    """Call it once in each mode."""
    module = subject.build()
    x = subject.draw()
    for mode in (False, True):
        failed = wrong_shape(subject, module, x, subject.run(module.train(mode), x))
        if failed:
            return failed
    return Passed()


def classifier(subject: Subject) -> Outcome:
    """Score several numbers of classes with it, and none."""
    made = subject.make()
    if not isinstance(made, Scoring):
        return Skipped("it has no `make_classifier`: the model's own classifier follows it")
    head, x = made.head.eval(), subject.draw()
    for number in (1, 3):
        own = head.make_classifier(number)
        if not isinstance(own, nn.Module):
            return Failed("an nn.Module from `make_classifier`", type(own).__name__)
        y = head(x, classifier=own)
        if tuple(y.shape) != (len(x), number):
            return Failed(f"shape {(len(x), number)} with that classifier", f"{tuple(y.shape)}")
    return wrong_shape(subject, head, x, head(x)) or Passed()


def dtype(subject: Subject) -> Outcome:
    """Run it in float32, float64 and bfloat16."""
    for wanted in (torch.float32, torch.float64, torch.bfloat16):
        y = subject.run(subject.build().to(wanted), subject.draw().to(wanted))
        if y.dtype != wanted:
            return Failed(f"{wanted} out of a {wanted} module and input", f"{y.dtype}")
    return Passed()


def autocast(subject: Subject) -> Outcome:
    """Compare with and without autocast, for inputs of both dtypes that it meets."""
    module = subject.build()
    for given in (torch.float32, torch.bfloat16):
        x = subject.draw().to(given)
        expected = subject.run(module, x.float())
        with torch.autocast("cpu", torch.bfloat16):
            y = subject.run(module, x)
        if y.dtype != given:
            return Failed(f"{given}, the input's dtype, under bfloat16 autocast", f"{y.dtype}")
        if gap := difference(y, expected, rtol=0.1, atol=0.1):
            return Failed("nearly the numbers of float32 under bfloat16 autocast", gap)
    return Passed()


def device(subject: Subject) -> Outcome:
    """Run it on a GPU where there is one, else on the meta device, where a forgotten tensor stays behind."""
    name = "cuda" if torch.cuda.is_available() else "meta"
    try:
        y = subject.run(subject.build().to(name), subject.draw().to(name))
    except Exception as error:
        if name == "meta" and "device" not in str(error).replace("meta device", ""):
            return Skipped(f"no GPU, and its values are needed: {type(error).__name__}")
        raise
    if y.device.type == name:
        return Passed()
    return Failed(f"an output on {name}, as the input", f"on {y.device.type}")


def sizes(subject: Subject) -> Outcome:
    """Try sizes that are odd, not square, smaller and larger."""
    module = subject.build()
    for size in subject.other_sizes:
        x = subject.draw(size)
        try:
            y = subject.run(module, x)
        except InvalidValue:
            if subject.kind == "backbone":
                continue  # a clear refusal; an attention has to take what it gets
            raise
        except Exception as error:
            return Failed(f"an input {tuple(x.shape)} to work", f"{type(error).__name__}: {error}")
        if failed := wrong_shape(subject, module, x, y):
            return failed
    return Passed()


def one_position(subject: Subject) -> Outcome:
    """Try the smallest map, in eval mode and in training."""
    for mode in (False, True):
        module = subject.build().train(mode)
        x = subject.draw(subject.one_position)
        try:
            y = subject.run(module, x)
        except InvalidValue:
            continue
        if failed := wrong_shape(subject, module, x, y):
            return failed
        if not y.isfinite().all():
            return Failed(f"finite values for an input {tuple(x.shape)}", "NaN or infinity")
    return Passed()


def batch_of_one(subject: Subject) -> Outcome:
    """Train on one sample."""
    module = subject.build().train()
    x = subject.draw(batch=1)
    try:
        y = subject.run(module, x)
    except InvalidValue:
        return Passed()
    if not y.isfinite().all():
        return Failed("finite values for a batch of one in training", "NaN or infinity")
    return wrong_shape(subject, module, x, y) or Passed()


def channels(subject: Subject) -> Outcome:
    """Build it for the usual widths."""
    for width in USUAL_CHANNELS:
        try:
            module = subject.build(width)
            x = subject.draw(channels=width)
            y = subject.run(module, x)
        except InvalidValue:
            continue
        except Exception as error:
            return Failed(
                f"{width} channels to work, or an InvalidValue that says why not",
                f"{type(error).__name__}: {error}",
            )
        if failed := wrong_shape(subject, module, x, y):
            return failed
    return Passed()


def channels_last(subject: Subject) -> Outcome:
    """Compare both memory formats, of the input alone and of the module's parameters as well."""
    x = subject.draw()
    if x.ndim != 4:
        return Skipped("channels_last is for (N, C, H, W) alone")
    module = subject.build()
    expected = subject.run(module, x)
    x = x.contiguous(memory_format=torch.channels_last)
    found = subject.run(module, x)
    try:
        module.to(memory_format=torch.channels_last)
    except RuntimeError as error:
        return Failed("a module that can be moved to channels_last", str(error))
    found = found if difference(found, expected) else subject.run(module, x)
    if gap := difference(found, expected):
        return Failed("the numbers of a contiguous input for a channels_last one", gap)
    return Passed()

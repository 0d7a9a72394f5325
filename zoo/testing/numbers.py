"""Values: finite on any input, and gates within their range."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.composition.introspection import AttentionMap
from zoo.testing.outcomes import Failed, Outcome, Passed, Skipped
from zoo.testing.subject import Subject

SCALES = (0.0, 1e-6, 1e4, 1e8)


def finite(subject: Subject) -> Outcome:
    """Try constant and random inputs of all sizes, in both modes, forward and backward."""
    if subject.takes_tokens:
        return Skipped("it takes token numbers, which have no size")
    for mode in (False, True):
        for scale in SCALES:
            for name, base in (
                ("constant", torch.ones_like(subject.draw())),
                ("random", subject.draw()),
            ):
                module = subject.build().train(mode)
                x = (base * scale).requires_grad_()
                y = subject.run(module, x)
                torch.autograd.backward(y.sum())
                what = f"a {name} input of size {scale:g}"
                if not y.isfinite().all():
                    return Failed(f"finite values for {what}", "NaN or infinity")
                named = [
                    ("the input", x.grad),
                    *((n, p.grad) for n, p in module.named_parameters()),
                ]
                for where, grad in named:
                    if grad is not None and not grad.isfinite().all():
                        return Failed(f"a finite gradient of {where} for {what}", "NaN or infinity")
    return Passed()


def attention_map(subject: Subject) -> Outcome:
    """Compare its form with that of `zoo.AttentionMap`."""
    module, x = subject.build(), subject.draw()
    if not hasattr(module, "attention_map"):
        return Skipped("it has no method `attention_map`")
    with torch.no_grad():
        found = module.attention_map(x)
    if not isinstance(found, AttentionMap):
        return Failed("a zoo.AttentionMap", type(found).__name__)
    expected = {"channel": tuple(x.shape[:2]), "spatial": (x.shape[0], *x.shape[2:])}
    for field, wanted in expected.items():
        weights = getattr(found, field)
        if weights is not None and tuple(weights.shape) != wanted:
            return Failed(f"{field} of shape {wanted}", f"{tuple(weights.shape)}")
    if subject.component.family == "self" and found.spatial is not None:
        total = found.spatial.flatten(1).sum(1)
        if not torch.allclose(total, torch.ones_like(total), atol=1e-4):
            return Failed(
                "the attention that positions receive to sum to 1 (family 'self')",
                f"{total.min().item():.4g} to {total.max().item():.4g}",
            )
    return Passed()


def gate_range(subject: Subject) -> Outcome:
    """Look for weights outside of the range, on inputs of several sizes."""
    module = subject.build()
    if not hasattr(module, "attention_map"):
        return Skipped("it has no method `attention_map`")
    declared = getattr(module, "gate_range", (0.0, 1.0))
    low, high = declared
    seen: list[Tensor] = []
    with torch.no_grad():
        for scale in (1.0, 10.0, 100.0):
            weights = module.attention_map(subject.draw() * scale)
            seen += [one for one in weights if one is not None]
    if not seen:
        return Skipped("its `attention_map` gives no weights")
    least, most = min(w.min().item() for w in seen), max(w.max().item() for w in seen)
    if low - 1e-5 <= least and most <= high + 1e-5:
        return Passed()
    hint = (
        ""
        if hasattr(module, "gate_range")
        else " (declare another with a class attribute `gate_range`)"
    )
    return Failed(f"weights from {low:g} to {high:g}{hint}", f"{least:.4g} to {most:.4g}")

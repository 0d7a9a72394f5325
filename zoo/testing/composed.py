"""In a composed model: eased in without damage, saved and loaded without pickle."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.composition.insertion import After, IdentityStart
from zoo.testing.host import GATE, blocks, catalog
from zoo.testing.outcomes import Failed, Outcome, Passed, Skipped
from zoo.testing.subject import Subject, difference


def identity_start(subject: Subject) -> Outcome:
    """Compare a model with and without attentions that start as nothing."""
    from zoo.api import compose

    offers = catalog(subject)
    plain = compose(**blocks(subject), catalog=offers).eval()
    eased = blocks(subject, start="identity")
    if subject.kind == "backbone":
        kinds = dict.fromkeys(slot.kind for slot in subject.make().slots())
        eased["attention"] = [{"name": GATE, "slot": kind, "start": "identity"} for kind in kinds]
        if not kinds:
            return Skipped("it has no slots")
    model = compose(**eased, catalog=offers).eval()
    _copy(plain, model)
    x = _input(subject)
    if gap := difference(subject.run(model, x), subject.run(plain, x), rtol=0, atol=0):
        return Failed("the very output of the model without attention (start: identity)", gap)
    return Passed()


def saved(subject: Subject) -> Outcome:
    """Save a composed model, load it, and compare."""
    from zoo.api import compose, load, save

    offers = catalog(subject)
    model = compose(**blocks(subject, start=""), num_classes=3, catalog=offers).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.add_(0.01)
    x = _input(subject)
    with tempfile.TemporaryDirectory() as folder:
        path = save(model, Path(folder) / "model.safetensors")
        loaded = load(path, catalog=offers)
    if gap := difference(subject.run(loaded, x), subject.run(model, x), rtol=0, atol=0):
        return Failed("the same output after zoo.save and zoo.load", gap)
    return Passed()


def _input(subject: Subject) -> Tensor:
    return subject.draw(channels=subject.channels if subject.kind == "backbone" else 3)


def _copy(plain: nn.Module, eased: nn.Module) -> None:
    """Give one model the tensors of another that has fewer."""
    theirs: dict[str, Any] = plain.state_dict()
    # An attention behind a module, or in place of one, moves that module into its wrapper.
    inner = {After: "module.", IdentityStart: "original."}
    moved = {
        f"{path}.{inner[type(part)]}": f"{path}."
        for path, part in eased.named_modules()
        if type(part) in inner
    }
    with torch.no_grad():
        for name, tensor in eased.state_dict().items():
            for there, before in reversed(moved.items()):  # inner ones first
                name = name.replace(there, before) if name.startswith(there) else name  # noqa: PLW2901
            if name in theirs:
                tensor.copy_(theirs[name])

"""Training mode and eval mode: for a while, and for what is frozen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode for as long as this lasts; then each part has the mode again that it had before."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def keep_statistics(module: nn.Module) -> None:
    """Put the norms that `zoo.freeze` froze into eval mode, whatever the mode of the rest."""
    for part in module.modules():
        if getattr(part, "keeps_statistics", False):
            part.training = False

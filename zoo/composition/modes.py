"""Training mode and eval mode: for a while, and for what is frozen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from torch import nn


@dataclass
class _Evaluation:
    """That of a module, while it lasts.

    Attributes:
        training: Its parts that are in training mode otherwise.
        users: How many threads need its eval mode now.
    """

    training: list[nn.Module]
    users: int = 0


_evaluations: dict[int, _Evaluation] = {}  # by the module's id
_turn = Lock()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode for as long as this lasts; then each part has the mode again that it had before.

    Of several threads that evaluate a module at once the last one gives it back its modes.
    """
    with _turn:
        if id(module) not in _evaluations:
            training = [part for part in module.modules() if part.training]
            module.eval()
            _evaluations[id(module)] = _Evaluation(training)
        evaluation = _evaluations[id(module)]
        evaluation.users += 1
    try:
        yield
    finally:
        with _turn:
            evaluation.users -= 1
            if not evaluation.users:
                del _evaluations[id(module)]
                for part in evaluation.training:
                    part.training = True


def keep_statistics(module: nn.Module) -> None:
    """Put the norms that `zoo.freeze` froze into eval mode, whatever the mode of the rest."""
    for part in module.modules():
        if getattr(part, "keeps_statistics", False):
            part.training = False

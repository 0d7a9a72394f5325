"""How long a model takes for one sample, measured on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.composition.costs import example
from zoo.composition.model import Model
from zoo.errors import InvalidValue

ROUNDS = 30


def latencies(models: Sequence[Model], *, rounds: int = ROUNDS) -> list[float | None]:
    """Milliseconds for one sample in eval mode, the median of many rounds in which the models take turns.

    Args:
        models: The models; for one that takes inputs of any size there is no such figure, and it gets None.
        rounds: How often each is run, after three runs that do not count.
    """
    samples = [_example(model) for model in models]
    times: list[list[float]] = [[] for _ in models]
    with torch.inference_mode():
        for number in range(-3, rounds):
            for model, sample, own in zip(models, samples, times, strict=True):
                if sample is None:
                    continue
                model.eval()
                start = time.perf_counter()
                model(sample)
                if number >= 0:
                    own.append(1000 * (time.perf_counter() - start))
    return [statistics.median(own) if own else None for own in times]


def _example(model: Model) -> Tensor | None:
    try:
        return example(model)
    except InvalidValue:  # it takes any size
        return None

"""How long a model takes for one sample, measured on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch

from zoo.composition.costs import example
from zoo.composition.model import Model

ROUNDS = 30


def latencies(models: Sequence[Model], *, rounds: int = ROUNDS) -> list[float]:
    """Milliseconds for one sample in eval mode, the median of many rounds in which the models take turns.

    Args:
        models: Models with an input block that has a size.
        rounds: How often each is run, after three runs that do not count.

    Raises:
        InvalidValue: A model takes any size.
    """
    samples = [example(model) for model in models]
    times: list[list[float]] = [[] for _ in models]
    with torch.inference_mode():
        for number in range(-3, rounds):
            for model, sample, own in zip(models, samples, times, strict=True):
                model.eval()
                start = time.perf_counter()
                model(sample)
                if number >= 0:
                    own.append(1000 * (time.perf_counter() - start))
    return [statistics.median(own) for own in times]

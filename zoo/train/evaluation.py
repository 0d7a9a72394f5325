"""How good a model is on labelled samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from zoo.composition.modes import evaluating
from zoo.errors import InvalidValue, ZooError, counted, first_line, is_out_of_memory
from zoo.train.batches import all_batches
from zoo.train.data.splits import ImageSplit, Split
from zoo.train.normalization import make_normalization

if TYPE_CHECKING:
    from zoo import Model


_MOST = 128  # samples a batch
_VALUES = 2**21  # numbers a batch
_EMBEDDED = 64  # that a token becomes


class Score(NamedTuple):
    """What an evaluation found.

    Attributes:
        accuracy: Share of the samples whose class got the highest score, in [0, 1].
        loss: Mean cross entropy, in nats.
        samples: Number of samples.
        hits: Which samples these are: bool (N,), in the order of the split.
    """

    accuracy: float
    loss: float
    samples: int
    hits: Tensor


def evaluate(model: Model, split: Split, *, batch_size: int | None = None) -> Score:
    """Measure a model on labelled samples, as they are stored.

    Args:
        model: A model of ours; its spec says how images are normalised. Its mode and device stay.
        split: The samples.
        batch_size: Samples a step, at least 1; by default as many as are quick and need little memory, and fewer where
            there is not enough.

    Raises:
        InvalidValue: Samples and model do not fit each other, or the scores are no numbers.
        ZooError: There is not enough memory.
    """
    if not len(split) or (batch_size is not None and batch_size < 1):
        raise InvalidValue(f"Got {len(split)} samples, batches of {batch_size}.")
    if int(split.labels.max()) >= model.num_classes:
        raise InvalidValue(
            f"A label is {int(split.labels.max())}; the model has {model.num_classes} classes."
        )
    size, score = batch_size or _batch_size(split), None
    with evaluating(model), torch.inference_mode():
        while score is None:
            try:
                score = _measured(model, split, size)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if batch_size is not None or size == 1:
                    raise ZooError(
                        f"There is not enough memory to measure {counted(size, 'sample')} at a time "
                        f"({first_line(error):.160})."
                    ) from error
                size = (size + 1) // 2
    if not math.isfinite(score.loss):
        raise InvalidValue(
            f"The model's loss is {score.loss}: its weights are those of a training that diverged, or damaged."
        )
    return score


def _measured(model: Model, split: Split, batch_size: int) -> Score:
    normalize = make_normalization(model.spec.input)
    weight = next(model.parameters(), torch.empty(0))
    device = weight.device
    hits, loss = torch.zeros(len(split), dtype=torch.bool), 0.0
    for numbers in all_batches(split, batch_size):
        x, labels, mask = split[numbers]
        x, labels = normalize(x.to(device)), labels.to(device)
        if x.is_floating_point():
            x = x.to(weight.dtype)
        scores = (model(x) if mask is None else model(x, mask.to(device))).float()
        hits[numbers] = (scores.argmax(1) == labels).cpu()
        loss += float(functional.cross_entropy(scores, labels, reduction="sum"))
    return Score(int(hits.sum()) / len(split), loss / len(split), len(split), hits)


def together(scores: Sequence[Score]) -> Score:
    """The score on the samples of several, one after the other."""
    hits = torch.cat([score.hits for score in scores])
    loss = sum(score.loss * score.samples for score in scores) / len(hits)
    return Score(int(hits.sum()) / len(hits), loss, len(hits), hits)


def _batch_size(split: Split) -> int:
    """So many that the feature maps of a common CNN fit into some hundred megabytes, at most 128."""
    if isinstance(split, ImageSplit):
        values = split.images[0].numel()
    else:
        values = int(split.lengths.max()) * (1 if split.values.is_floating_point() else _EMBEDDED)
    return max(1, min(_MOST, _VALUES // values))

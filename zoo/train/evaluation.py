"""How good a model is on labelled images."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.errors import InvalidValue
from zoo.train.normalization import Normalization


class Score(NamedTuple):
    """What an evaluation found.

    Attributes:
        accuracy: Share of the samples whose class got the highest score, in [0, 1].
        loss: Mean cross entropy, in nats.
        samples: Number of samples.
    """

    accuracy: float
    loss: float
    samples: int


def evaluate(model: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = 500) -> Score:
    """Measure a model on labelled images, as they are stored.

    Args:
        model: A model of ours; its spec says how images are normalised. Its mode and device stay.
        images: uint8 (N, C, H, W).
        labels: int64 (N,), numbers of classes.
        batch_size: Images a step, at least 1.

    Raises:
        InvalidValue: Images, labels and model do not fit each other.
    """
    spec: Any = model.spec
    if not len(images) or len(images) != len(labels) or batch_size < 1:
        raise InvalidValue(
            f"Got {len(images)} images, {len(labels)} labels, batches of {batch_size}."
        )
    if int(labels.max()) >= spec.output.width:
        raise InvalidValue(
            f"A label is {int(labels.max())}; the model has {spec.output.width} classes."
        )
    normalize = Normalization(spec.input)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    right, loss = 0, 0.0
    try:
        with torch.inference_mode():
            for part, classes in zip(
                torch.split(images, batch_size), torch.split(labels, batch_size), strict=True
            ):
                scores = model(normalize(part.to(device))).float()
                classes = classes.to(device)  # noqa: PLW2901 - the same labels, where the scores are
                right += int((scores.argmax(1) == classes).sum())
                loss += float(functional.cross_entropy(scores, classes, reduction="sum"))
    finally:
        model.train(was_training)
    return Score(right / len(images), loss / len(images), len(images))

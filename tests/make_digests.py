"""Make the output digests of the published variants again: `python tests/make_digests.py [REF ...]`.

A digest says what a version's weights answered, when it was published, to a few hundred synthetic inputs:
for each class how often it won, and the mean and the standard deviation of its logit. The code that
builds and prepares may change; these numbers may not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

import zoo
from zoo.composition.model import Model
from zoo.inputs.batching import pad_batch
from zoo.registry import Registry
from zoo.registry.defaults import builtin_folder
from zoo.spec import AudioInput, ImageInput, TextInput

SAMPLES = 256
DIGESTS = Path(__file__).parent / "published"


def place(ref: str) -> Path:
    """Where the digest of a version stands."""
    return DIGESTS / f"{ref}.json"


def published() -> list[str]:
    """The refs of all versions with weights in the built-in registry."""
    index = Registry(builtin_folder()).known_index()
    return [f"{row.name}@{row.number}" for row in index.listings() if row.sha256]


def digest(ref: str) -> dict[str, Any]:
    """What a version answers to the synthetic inputs of its kind."""
    model = zoo.create(ref, pretrained=True)
    prepare = model.transform()
    batch, mask = pad_batch([prepare(sample) for sample in samples(model)])
    with torch.inference_mode():
        logits = model(batch) if mask is None else model(batch, mask)
    wins = logits.argmax(1).bincount(minlength=model.num_classes)
    return {
        "samples": len(logits),
        "wins": wins.tolist(),
        "means": rounded(logits.mean(0)),
        "deviations": rounded(logits.std(0)),
    }


def rounded(values: torch.Tensor) -> list[float]:
    """Numbers to four places, more than float32 keeps alike between machines."""
    return [round(value, 4) for value in values.tolist()]


def samples(model: Model) -> Iterator[Any]:
    """Synthetic inputs in the form that users give, the same on every machine.

    NumPy keeps the numbers of `RandomState` as they are for good.
    """
    draws = np.random.RandomState(0)
    block = model.spec.input
    for _ in range(SAMPLES):
        match block:
            case ImageInput():
                yield picture(draws, block)
            case AudioInput():
                yield sound(draws, block.sample_rate), block.sample_rate
            case TextInput():
                words = model.vocabulary.tokens()
                length = draws.randint(1, 24)
                yield " ".join(words[number] for number in draws.randint(len(words), size=length))


def picture(draws: np.random.RandomState, block: ImageInput) -> np.ndarray:
    """A uint8 image: strokes on black if it is grey, else two plane waves a channel under a box."""
    height, width = block.size or (32, 32)
    place = np.stack(np.mgrid[:height, :width], -1).astype(float)
    if block.channels == 1:
        corners = draws.uniform(0.15, 0.85, (draws.randint(2, 6), 2)) * (height, width)
        away = [distance(place, *ends) for ends in pairwise(corners)]
        return np.clip(255 * (2 - np.min(away, 0)), 0, 255).astype(np.uint8)
    directions = draws.uniform(-1, 1, (2, 2, block.channels))  # of each wave, in radians a pixel
    image = np.sin(place @ directions[0]) + np.sin(place @ directions[1])
    top, left = draws.randint(height // 2), draws.randint(width // 2)
    image[top : top + height // 3, left : left + width // 3] = draws.uniform(-2, 2, block.channels)
    return np.clip(image * 63 + 128, 0, 255).astype(np.uint8)


def distance(place: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """How far each place is from a straight stroke."""
    along = end - start
    share = np.clip((place - start) @ along / (along @ along), 0, 1)
    return np.linalg.norm(place - start - share[..., None] * along, axis=-1)


def sound(draws: np.random.RandomState, rate: int) -> np.ndarray:
    """A third of a second to one of three gliding tones that fade, in [-1, 1]."""
    time = np.arange(draws.randint(rate // 3, rate)) / rate
    wave = np.zeros_like(time)
    for _ in range(3):
        pitch, glide, fade = draws.uniform([100, -300, 1], [rate / 4, 300, 8])
        wave += np.sin(2 * np.pi * (pitch + glide * time) * time) * np.exp(-fade * time) / 3
    return wave.astype(np.float32)


def main(refs: list[str]) -> None:
    """Write the digests of these versions, or of all."""
    DIGESTS.mkdir(exist_ok=True)
    for ref in refs or published():
        place(ref).write_text(json.dumps(digest(ref), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Augmentation of whole batches: every sample changes in its own way, by a few tensor operations.

Each class takes its options as keywords, and a batch with a generator; it returns a new batch of the same
shape and dtype. Those of waveforms take `mask` as well, that of the batch. The generator alone decides: the same
state gives the same batch. A new augmentation is a class in the file of its kind, and its name in
`AUGMENTATIONS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from zoo.errors import InvalidValue, near_misses
from zoo.train.augmentation.images import Affine, Crop, Cutout, Flip
from zoo.train.augmentation.sounds import Noise, Shift, SpecAugment, Speed
from zoo.train.augmentation.texts import WordDropout

Augmentation = Callable[
    ..., Tensor
]  # (batch, generator), and for waveforms (batch, generator, mask=...)

# By what they change: `spectrogram` is the map that a backbone for sounds makes first.
AUGMENTATIONS: dict[str, dict[str, type[Any]]] = {
    "image": {"affine": Affine, "crop": Crop, "cutout": Cutout, "flip": Flip},
    "audio": {"noise": Noise, "shift": Shift, "speed": Speed},
    "spectrogram": {"spec_augment": SpecAugment},
    "text": {"word_dropout": WordDropout},
}
_BY_NAME = {
    name: (changes, cls) for changes, own in AUGMENTATIONS.items() for name, cls in own.items()
}


def changes(step: Mapping[str, Any]) -> str:
    """What an augmentation changes: `image`, `audio`, `spectrogram` or `text`."""
    return _BY_NAME[step["name"]][0]


def make_augmentation(step: Mapping[str, Any], *, where: str = "augment") -> Augmentation:
    """Make one augmentation from its block in a recipe, `{"name": "crop", "padding": 4}`.

    Raises:
        InvalidValue: The name or an option is unknown, or a value is out of its range.
    """
    options = dict(step)
    name = options.pop("name", None)
    if name not in _BY_NAME:
        raise InvalidValue(
            f"{where}: no augmentation is called {name!r}. {near_misses(str(name), _BY_NAME)}"
        )
    cls = _BY_NAME[name][1]
    known = list(inspect.signature(cls).parameters)
    for option in options:
        if option not in known:
            raise InvalidValue(
                f"{where}: {name} has no option {option!r}. {near_misses(option, known)}"
            )
    try:
        made: Augmentation = cls(**options)
    except InvalidValue as error:
        raise InvalidValue(f"{where}: {error}") from None
    except TypeError as error:
        raise InvalidValue(f"{where}: {name} cannot be made with {options}: {error}.") from None
    return made

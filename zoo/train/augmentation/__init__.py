"""Augmentation of whole batches: every sample changes in its own way, by a few tensor operations.

Each class takes its options as keywords, and a batch with a generator; it returns a new batch of the same
shape and dtype. Those of sounds take `mask` as well, that of the batch or of its frames. The generator alone
decides: the same state gives the same batch. A new augmentation is a class in the file of its kind, and its name in
`AUGMENTATIONS`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from zoo.errors import InvalidValue, near_misses
from zoo.train.augmentation.images import Affine, Crop, Cutout, Flip
from zoo.train.augmentation.sounds import Noise, Shift, SpecAugment, Speed
from zoo.train.augmentation.texts import WordDropout

# Called with (batch, generator), and for sounds with (batch, generator, mask=...).
Augmentation = Callable[..., Tensor]

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
_NUMBERS: dict[object, str] = {int: "a whole number", float: "a finite number"}


def kind_changed_by(step: Mapping[str, Any]) -> str:
    """The kind of what an augmentation changes: `image`, `audio`, `spectrogram` or `text`."""
    return _BY_NAME[step["name"]][0]


def make_augmentation(step: Mapping[str, Any], *, where: str = "augment") -> Augmentation:
    """Make one augmentation from its block in a recipe, `{"name": "crop", "padding": 4}`.

    Raises:
        InvalidValue: The name or an option is unknown, or a value of the wrong type or out of its range.
    """
    options = dict(step)
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in _BY_NAME:
        raise InvalidValue(
            f"{where}: no augmentation is called {name!r}. {near_misses(str(name), _BY_NAME)}"
        )
    cls = _BY_NAME[name][1]
    known = inspect.signature(cls, eval_str=True).parameters
    for option, value in options.items():
        if option not in known:
            raise InvalidValue(
                f"{where}: {name} has no option {option!r}. {near_misses(option, known)}"
            )
        kind = known[option].annotation
        if kind in _NUMBERS and not _is_number(value, kind):
            raise InvalidValue(
                f"{where}: {name} cannot be made with {option} {value!r}; give {_NUMBERS[kind]}."
            )
    try:
        made: Augmentation = cls(**options)
    except InvalidValue as error:
        raise InvalidValue(f"{where}: {error}") from None
    return made


def _is_number(value: object, kind: type[Any]) -> bool:
    if isinstance(value, bool):  # which Python takes for a number
        return False
    whole = isinstance(value, int)
    return whole or (kind is float and isinstance(value, float) and math.isfinite(value))

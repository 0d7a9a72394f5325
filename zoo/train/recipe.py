"""A recipe: all that a training needs besides the model and the data. Pure data, one YAML block."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from zoo.errors import InvalidValue, near_misses


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to train a model.

    Args:
        epochs: Passes over the training split, at least 1.
        batch_size: Samples a step, at least 1.
        optimizer: `adam`, `adamw` (decoupled weight decay) or `sgd` (with Nesterov momentum).
        learning_rate: The highest one that the schedule reaches.
        weight_decay: Of weight matrices and kernels; norms and biases have none.
        momentum: For `sgd`, in [0, 1).
        schedule: `constant`; `cosine` falls to 0; `onecycle` rises for 30 % of the steps, then falls.
        label_smoothing: In [0, 1).
        augment: Augmentations in order, each `{"name": ..., <its options>}`.
        precision: `32`, or `bf16`: float32 weights, bfloat16 autocast.
        channels_last: Whether images lie in memory channel by channel for each pixel.
        seed: Of the weights, the order of the samples, the augmentation and dropout.

    Raises:
        InvalidValue: From `from_data`: a field is unknown or a value out of its range.
    """

    epochs: int = 20
    batch_size: int = 128
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    schedule: Literal["constant", "cosine", "onecycle"] = "onecycle"
    label_smoothing: float = 0.0
    augment: tuple[dict[str, Any], ...] = ()
    precision: Literal["32", "bf16"] = "32"
    channels_last: bool = False
    seed: int = 0

    @classmethod
    def from_data(cls, data: object, *, where: str = "recipe") -> Recipe:
        """Read a recipe from plain data, as it stands in a registry or a YAML file.

        Args:
            data: A mapping; augmentations may be given by their name alone.
            where: Where the data came from, for messages.

        Raises:
            InvalidValue: A field is unknown, or of the wrong type or range.
        """
        if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
            raise InvalidValue(f"{where}: expected fields with names, got {data!r:.80}.")
        fields = dict(data)
        for name in fields:
            if name not in cls.__struct_fields__:
                raise InvalidValue(
                    f"{where}: unknown field {name!r}. {near_misses(name, cls.__struct_fields__)}"
                )
        if isinstance(fields.get("augment"), list | tuple):
            fields["augment"] = [
                {"name": step} if isinstance(step, str) else step for step in fields["augment"]
            ]
        if fields.get("precision") == 32 and not isinstance(fields["precision"], bool):
            fields["precision"] = "32"  # YAML reads a bare 32 as a number
        try:
            recipe = msgspec.convert(fields, cls)
        except msgspec.ValidationError as error:
            raise InvalidValue(f"{where}: {str(error).replace('`$', f'`{where}')}.") from None
        recipe.check(where)
        return recipe

    def to_data(self) -> dict[str, Any]:
        """The recipe as plain data, with every field, that `from_data` reads back to an equal one."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        data["augment"] = list(data["augment"])
        return data

    def check(self, where: str = "recipe") -> None:
        """Check what types alone do not say.

        Raises:
            InvalidValue: A value is out of its range, or an augmentation is unknown.
        """
        from zoo.train.augmentation import make_augmentation

        rules = [
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("learning_rate", 0.0 < self.learning_rate < math.inf, "a finite number above 0"),
            ("weight_decay", 0.0 <= self.weight_decay < math.inf, "a finite number of at least 0"),
            ("momentum", 0.0 <= self.momentum < 1.0, "in [0, 1)"),
            ("label_smoothing", 0.0 <= self.label_smoothing < 1.0, "in [0, 1)"),
            ("seed", 0 <= self.seed < 2**31, "in [0, 2^31)"),
        ]
        for name, holds, rule in rules:
            if not holds:
                raise InvalidValue(f"{where}.{name}: {getattr(self, name)!r} is not {rule}.")
        for number, step in enumerate(self.augment):
            make_augmentation(step, where=f"{where}.augment[{number}]")

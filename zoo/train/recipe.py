"""A recipe: all that a training needs besides the model and the data. Pure data, one YAML block."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

from zoo.errors import InvalidValue, near_misses
from zoo.spec import ImageInput, Input

Optimizer = Literal["adadelta", "adam", "adamw", "sgd"]
Schedule = Literal["constant", "cosine", "onecycle"]
_WORDS = {"optimizer": get_args(Optimizer), "schedule": get_args(Schedule)}


class VocabularyRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tokens of train a vocabulary keeps.

    Args:
        minimum_count: Rarer tokens are left out.
        most: At most so many, the most frequent ones; None keeps all.
    """

    minimum_count: int = 1
    most: int | None = None


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to train a model.

    Args:
        epochs: Passes over the training split, at least 1.
        batch_size: Samples a step, at least 1.
        optimizer: `adadelta`, `adam`, `adamw` (decoupled weight decay) or `sgd` (with Nesterov momentum).
        learning_rate: The highest one that the schedule reaches.
        backbone_rate: Learning rate of the backbone as a share of it; 0 keeps the backbone as it is.
        weight_decay: Of weight matrices and kernels; norms and biases have none.
        momentum: For `sgd`, in [0, 1).
        schedule: `constant`; `cosine` falls to 0; `onecycle` rises for 30 % of the steps, then falls.
        gradient_clip: Greatest norm of all gradients together; None lets them be.
        label_smoothing: In [0, 1).
        mixup: For images, each is blended with another; the share is drawn from Beta(mixup, mixup). 0: none.
        whiten: For images: whether the first convolution begins with filters that whiten patches of train.
        average: Decay of a moving average of the weights, which is what is validated and saved; None: none.
        augment: Augmentations in order, each `{"name": ..., <its options>}`.
        vocabulary: For texts, which tokens of train are known.
        precision: Of training steps: `32`, or `bf16`: float32 weights, bfloat16 autocast. Validation has float32.
        channels_last: Whether images lie in memory channel by channel for each pixel.
        seed: Of the weights, the order of the samples, the augmentation and dropout.

    Raises:
        InvalidValue: From `from_data`: a field is unknown or a value out of its range.
    """

    epochs: int = 20
    batch_size: int = 128
    optimizer: Optimizer = "adamw"
    learning_rate: float = 1e-3
    backbone_rate: float = 1.0
    weight_decay: float = 0.0
    momentum: float = 0.9
    schedule: Schedule = "onecycle"
    gradient_clip: float | None = None
    label_smoothing: float = 0.0
    mixup: float = 0.0
    whiten: bool = False
    average: float | None = None
    augment: tuple[dict[str, Any], ...] = ()
    vocabulary: VocabularyRule = VocabularyRule()
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
        fields = _fields(data, cls, where)
        if "vocabulary" in fields:
            fields["vocabulary"] = _fields(
                fields["vocabulary"], VocabularyRule, f"{where}.vocabulary"
            )
        for name, words in _WORDS.items():
            word = fields.get(name)
            if isinstance(word, str) and word not in words:
                raise InvalidValue(f"{where}.{name}: {word!r} is none. {near_misses(word, words)}")
        if isinstance(fields.get("augment"), list | tuple):
            fields["augment"] = [
                {"name": step} if isinstance(step, str) else step for step in fields["augment"]
            ]
        if fields.get("precision") == 32 and not isinstance(fields["precision"], bool):
            fields["precision"] = "32"  # YAML reads a bare 32 as a number
        try:
            recipe = msgspec.convert(fields, cls)
        except msgspec.ValidationError as error:
            raise InvalidValue(_with_place(str(error), fields, where)) from None
        recipe._check(where)
        return recipe

    def to_data(self) -> dict[str, Any]:
        """The recipe as plain data, with every field, that `from_data` reads back to an equal one."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        data["augment"] = list(data["augment"])
        return data

    def _check(self, where: str) -> None:
        """See that values are in their ranges, which types alone do not say, and that the augmentations are known."""
        clip, average, vocabulary = self.gradient_clip, self.average, self.vocabulary
        most = vocabulary.most is None or vocabulary.most >= 1
        rules = [
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("learning_rate", 0.0 < self.learning_rate < math.inf, "a finite number above 0"),
            (
                "backbone_rate",
                0.0 <= self.backbone_rate < math.inf,
                "a finite number of at least 0",
            ),
            ("weight_decay", 0.0 <= self.weight_decay < math.inf, "a finite number of at least 0"),
            ("momentum", 0.0 <= self.momentum < 1.0, "in [0, 1)"),
            ("gradient_clip", clip is None or 0.0 < clip < math.inf, "a finite number above 0"),
            ("label_smoothing", 0.0 <= self.label_smoothing < 1.0, "in [0, 1)"),
            ("mixup", 0.0 <= self.mixup < math.inf, "a finite number of at least 0"),
            ("average", average is None or 0.0 < average < 1.0, "in (0, 1)"),
            ("vocabulary", vocabulary.minimum_count >= 1 and most, "of counts of at least 1"),
            ("seed", 0 <= self.seed < 2**31, "in [0, 2^31)"),
        ]
        for name, holds, rule in rules:
            if not holds:
                raise InvalidValue(f"{where}.{name}: {getattr(self, name)!r} is not {rule}.")
        for number, step in enumerate(self.augment):
            from zoo.train.augmentation import make_augmentation  # imports torch

            make_augmentation(step, where=f"{where}.augment[{number}]")


def recipe_for(data: Mapping[str, Any], source: Input) -> Recipe:
    """The recipe of plain data; what it leaves out is what suits the kind of input and the optimizer.

    Args:
        data: Fields of a recipe.
        source: The input block of the model.
    """
    optimizer = data.get("optimizer", Recipe().optimizer)
    return Recipe.from_data({**_defaults(source, optimizer), **data})


# Of each optimizer, where nothing is said. The decay of AdamW is its own step; in the gradient, as Adam has it,
# so much would leave nothing of the weights.
_PACES: dict[str, dict[str, float]] = {
    "adadelta": {"learning_rate": 1.0},
    "adam": {"learning_rate": 2e-3},
    "adamw": {"learning_rate": 2e-3, "weight_decay": 0.05},
    "sgd": {"learning_rate": 0.05, "weight_decay": 5e-4},
}


def usual_pace(optimizer: object) -> dict[str, float]:
    """Learning rate and weight decay that suit an optimizer; nothing for what is none."""
    return _PACES.get(optimizer if isinstance(optimizer, str) else "", {})


def _defaults(source: Input, optimizer: object) -> dict[str, Any]:
    pace = usual_pace(optimizer)
    if isinstance(source, ImageInput):
        side = min(source.size or (32, 32))
        augment: list[dict[str, Any]] = []
        if side > 1:
            augment.append({"name": "crop", "padding": max(1, side // 8)})
        if source.channels > 1:  # grey images are often characters, which have no mirror image
            augment.append({"name": "flip"})
        return {**pace, "augment": augment}
    if source.kind == "audio":
        return {**pace, "batch_size": 64, "augment": [{"name": "shift"}, {"name": "noise"}]}
    if source.kind == "text":
        gentle = {"learning_rate": 1e-3, "weight_decay": 0.01} if optimizer == "adamw" else {}
        return {**pace, **gentle, "batch_size": 50, "augment": [{"name": "word_dropout"}]}
    return pace


def _with_place(message: str, fields: Mapping[str, Any], where: str) -> str:
    """What is wrong with the type of a field, with its place in front and its value behind."""
    message, _, place = message.replace("`", "").partition(" - at $")
    name = place.removeprefix(".")
    shown = f" ({fields[name]!r:.40})" if name in fields else ""
    return f"{where}{place}: {message}{shown}."


def _fields(data: object, struct: type[Struct], where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
        raise InvalidValue(f"{where}: expected fields with names, got {data!r:.80}.")
    known = struct.__struct_fields__
    for name in data:
        if name not in known:
            raise InvalidValue(f"{where}: unknown field {name!r}. {near_misses(name, known)}")
    return dict(data)

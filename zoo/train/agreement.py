"""Whether model, data and recipe fit each other: asked before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidValue
from zoo.spec import ImageInput, Spec
from zoo.train.data.dataset import Data
from zoo.train.data.splits import ImageSplit
from zoo.train.normalization import Normalization
from zoo.train.processes import Processes
from zoo.train.recipe import Recipe

if TYPE_CHECKING:
    from zoo import Model


def complete_spec(spec: Mapping[str, Any], data: Data, *, where: str = "spec") -> Spec:
    """Fill what a spec leaves to the data: its input, and its classes with their labels.

    Args:
        spec: Plain data of a spec; the input block may be missing.
        data: Was opened with what the spec says of the input.
        where: Where the spec came from, for messages.

    Raises:
        InvalidValue: The spec has other classes.
    """
    from msgspec import to_builtins
    from msgspec.structs import replace

    filled = Spec.from_data({**spec, "input": to_builtins(data.source)}, where=where)
    output = filled.output
    if output.width and (
        output.width != len(data.labels) or (output.labels or data.labels) != data.labels
    ):
        raise InvalidValue(
            f"The model's classes do not fit {data.name}: {output.labels or output.width} against {data.labels}. Leave "
            "the output out of the spec, so that they follow from the data."
        )
    return replace(filled, output=replace(output, num_classes=None, labels=data.labels))


def check_fit(model: Model, data: Data, recipe: Recipe, *, compiled: bool = False) -> None:
    """See that model, data and recipe fit each other, and can be trained compiled, if asked for.

    Raises:
        InvalidValue: They do not; the message says why.
    """
    if model.num_classes != len(data.labels):
        raise InvalidValue(
            f"The model has {model.num_classes} classes, {data.name} has {len(data.labels)}."
        )
    if model.labels is not None and model.labels != data.labels:
        raise InvalidValue(
            f"The model's classes are {', '.join(model.labels)}; those of {data.name} are {', '.join(data.labels)}. Open "
            "the data with the classes of the model."
        )
    if isinstance(model.spec.input, ImageInput) and isinstance(data.train, ImageSplit):
        Normalization(model.spec.input).check(data.train.images)
    elif model.spec.input.kind != data.source.kind:
        raise InvalidValue(
            f"The model takes inputs of kind {model.spec.input.kind!r}; {data.name} is of kind {data.source.kind!r}."
        )
    several = [
        lengths
        for lengths in (data.train.lengths, data.validation.lengths)
        if lengths is not None and lengths.min() != lengths.max()
    ]
    if model.mask_refusals and several:
        raise InvalidValue(
            f"{data.name} has samples of several lengths, which need a mask in a batch, and this model takes none: "
            f"{', '.join(model.mask_refusals)} cannot honour one."
        )
    _check_recipe(model, data, recipe, compiled=compiled)


def _check_recipe(model: Model, data: Data, recipe: Recipe, *, compiled: bool) -> None:
    import torch

    from zoo.train.augmentation import kind_changed_by, make_augmentation
    from zoo.train.task import find_spectrogram

    kind = data.source.kind
    for step in recipe.augment:
        place = kind_changed_by(step)
        if place == "spectrogram":
            find_spectrogram(model)
            if compiled:
                raise InvalidValue(
                    "The recipe's spec_augment draws inside of the model, where compiled code does not let it. Leave "
                    "--compile out, or spec_augment."
                )
        elif place != kind:
            raise InvalidValue(
                f"The recipe's {step['name']} changes inputs of kind {place!r}; {data.name} is of kind {kind!r}."
            )
        elif isinstance(data.train, ImageSplit):  # which may be too small for it
            make_augmentation(step)(data.train.images[:1], torch.Generator())
    for option in ("mixup", "whiten", "channels_last"):
        if getattr(recipe, option) and kind != "image":
            raise InvalidValue(
                f"The recipe's {option} is for images; {data.name} is of kind {kind!r}."
            )


def check_sharing(recipe: Recipe, processes: Processes, *, compiled: bool) -> None:
    """See that a model can be shared out.

    Raises:
        InvalidValue: It cannot; the message says why.
    """
    if processes.size == 1:
        raise InvalidValue(
            "A model is shared out over several processes, and this is the only one. Start them with torchrun "
            "--nproc-per-node N -m zoo train, or leave --shard out."
        )
    if compiled:
        raise InvalidValue("--shard and --compile do not go together; leave one of them out.")
    if recipe.average is not None:
        raise InvalidValue(
            "The recipe's average keeps a whole copy of the weights in each process; leave it out, or --shard."
        )

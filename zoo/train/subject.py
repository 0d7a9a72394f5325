"""What is to be trained: a spec, perhaps with gaps that the data fill, and fields of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import InvalidValue, UnknownName
from zoo.grammar import is_short_form, parse
from zoo.plugins import catalog
from zoo.spec import Spec
from zoo.train.recipe import Recipe, usual_pace

if TYPE_CHECKING:
    from zoo.component import Component
    from zoo.spec import Version

# What an input block needs that the data can say, too: any value, to check the rest before the data are read.
_GAPS: dict[str, dict[str, Any]] = {
    "image": {"channels": 3},
    "audio": {"sample_rate": 16_000},
    "text": {"vocabulary_size": 0, "vocabulary_bytes": 0},
}


class Subject(NamedTuple):
    """What is to be trained.

    Attributes:
        spec: Plain data of a spec; its input block may be missing or have gaps.
        recipe: Fields of a recipe; the others take their defaults.
        where: Where it came from, for messages.
        version: For a ref, the version.
        data: Name of the data that it is to be trained on; None for any.
    """

    spec: dict[str, Any]
    recipe: dict[str, Any]
    where: str
    version: Version | None = None
    data: str | None = None


def read_subject(what: str) -> Subject:
    """Read a YAML file with spec and recipe, a spec in the short form, or a version by its ref.

    Raises:
        ZooError: There is none of that name, or it does not say what is needed.
    """
    if what.endswith((".yaml", ".yml")):
        subject = _from_file(Path(what))
    elif is_short_form(what):
        subject = Subject(parse(what), {}, "spec")
    else:
        version = _described(what)
        subject = Subject(version.spec.to_data(), dict(version.recipe), str(version.ref), version)
    _check(subject)
    return subject


def without_gaps(spec: Any) -> Any:
    """Plain data of a spec, with any value where the data will say one."""
    block = spec.get("input") if isinstance(spec, Mapping) else None
    if not isinstance(block, Mapping):
        return spec
    gaps = _GAPS.get(str(block.get("kind", "image")), {})
    return {**spec, "input": {**gaps, **block}}


def asked_input(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a spec says of its input: its own block, and for the rest what its backbone asks for.

    The sizes of a vocabulary are left out, which follow from the texts.
    """
    own = dict(spec.get("input") or {})
    name, component, options = _backbone(spec)
    default = component.default_input(name, options)
    if own.get("kind", default.get("kind")) != default.get("kind"):
        default = {}
    if own.get("channels", default.get("channels")) != default.get("channels"):
        default = {key: value for key, value in default.items() if key not in ("mean", "std")}
    asked = {**default, **own}
    if own and "kind" not in asked:
        asked["kind"] = "image"  # as everywhere in a spec
    if "kind" not in asked and len(kinds := input_kinds(spec)) == 1:
        asked["kind"] = kinds[0]
    return {key: value for key, value in asked.items() if not key.startswith("vocabulary_")}


def input_kinds(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of input that the backbone of a spec takes, the usual one first."""
    _, component, options = _backbone(spec)
    cls = component.load()
    ndim = options.get("ndim", getattr(cls, "ndim", 2))
    kinds: tuple[str, ...] = getattr(cls, "input_kinds", ("image" if ndim == 2 else "sequence",))
    return kinds


def without_origin(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec without what it took from the data it was trained on: classes, mean and deviation."""
    source = {key: v for key, v in spec["input"].items() if key not in ("mean", "std")}
    return {**{key: v for key, v in spec.items() if key != "output"}, "input": source}


def for_finetuning(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec with pretrained weights for its backbone, and attentions that begin as the identity."""
    block = spec["backbone"]
    backbone = {"name": block} if isinstance(block, str) else dict(block)
    placements = spec.get("attention") or []
    placements = placements if isinstance(placements, list) else [placements]
    return {
        **spec,
        "backbone": {"pretrained": True, **backbone},
        "attention": [{"start": "identity", **placement} for placement in placements],
    }


def finetuning_recipe(recipe: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """Fields of a recipe that goes easy on weights that are good already.

    Args:
        recipe: Fields that were given.
        whole: Whether they are of the training that the weights came from, of which only what does not pace it
            is kept.
    """
    kept = {key: value for key, value in recipe.items() if not whole or key in _UNPACED}
    pace = usual_pace(kept.get("optimizer", Recipe().optimizer)).get("learning_rate", 1e-3) / 2
    return {"learning_rate": pace, "backbone_rate": 0.1, **kept}


_UNPACED = ("augment", "batch_size", "channels_last", "label_smoothing", "mixup", "precision")


def _backbone(spec: Mapping[str, Any]) -> tuple[str, Component, dict[str, Any]]:
    """Name, component and options of a spec's backbone."""
    block = spec["backbone"]
    options = {"name": block} if isinstance(block, str) else dict(block)
    name = options.pop("name")
    options.pop("pretrained", None)
    return name, catalog().component("backbone", name), options


def _described(ref: str) -> Version:
    from zoo.api import describe

    try:
        return describe(ref)
    except UnknownName as error:
        try:
            catalog().component("backbone", ref)
        except UnknownName:
            raise error from None
        raise UnknownName(f"{error} A backbone has that name; write '{ref} + avg'.") from error


def _from_file(path: Path) -> Subject:
    from zoo.registry.reader import read_yaml

    data, _ = read_yaml(path)
    if not isinstance(data, dict) or "spec" not in data or not data.keys() <= {"spec", "recipe"}:
        raise InvalidValue(f"{path}: expected the blocks 'spec' and 'recipe' and nothing else.")
    spec = data["spec"]
    if isinstance(spec, str):
        spec = parse(spec)
    return Subject(spec, data.get("recipe") or {}, str(path))


def _check(subject: Subject) -> None:
    """Check spec and recipe before any data are read."""
    Recipe.from_data(subject.recipe, where=f"{subject.where}: recipe")
    Spec.from_data(without_gaps(subject.spec), where=f"{subject.where}: spec")

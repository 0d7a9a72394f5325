"""A plan of trainings to compare: several specs, one recipe, several seeds. Pure data, one YAML file.

data: cifar10-jpeg
seeds: [0, 1, 2]
recipe: {epochs: 30, ...}
specs:
  none: resnet_cifar + avg
  se: resnet_cifar + se@branch(reduction=4) + avg

What its recipe leaves out is what `zoo train` would take. `split_seed`, `leaks` and `unreadable` may be said, too, as
its options of these names; what is held out is a part of the data's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from zoo.blocks import read_spec
from zoo.errors import InvalidValue, ZooError
from zoo.grammar import parse
from zoo.registry.reader import read_yaml
from zoo.spec import Spec
from zoo.train.comparison.rows import Row
from zoo.train.comparison.runs import Run
from zoo.train.data.request import Treatment, unusual
from zoo.train.recipe import Recipe, recipe_for
from zoo.train.subject import Subject, without_gaps

_TITLE = re.compile(r"[^\W_][\w@.+-]*")  # of which a folder's name is made


class _File(Treatment, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: str
    seeds: Annotated[list[int], Meta(min_length=1)]
    recipe: dict[str, Any]
    specs: Annotated[dict[str, str], Meta(min_length=1)]


class Training(NamedTuple):
    """One training of a plan.

    Attributes:
        title: Of its row.
        spec: What is trained.
        recipe: How, as far as the plan says; with its seed.
        text: The spec as the plan has it, which leaves more to the data.
    """

    title: str
    spec: Spec
    recipe: Mapping[str, Any]
    text: str

    @property
    def folder(self) -> str:
        """A name for its run's folder."""
        return f"{_folder_name(self.title)}-seed{self.recipe['seed']}"


class Plan(NamedTuple):
    """What is to be trained.

    Attributes:
        data: On which data set.
        trainings: Seed by seed, so that the first rows can be compared early.
        conditions: How the data are divided and treated, as far as it is out of the ordinary.
    """

    data: str
    trainings: tuple[Training, ...]
    conditions: Mapping[str, Any] = MappingProxyType({})

    @property
    def titles(self) -> list[str]:
        """Of the rows, in order."""
        return list(dict.fromkeys(training.title for training in self.trainings))

    @property
    def seeds(self) -> int:
        """How many trainings a row has."""
        return len(self.trainings) // len(self.titles)

    def training_of(self, run: Run) -> Training | None:
        """The training that a run is; None if the plan has no such one."""
        conditions = {name: value for name, value in run.conditions.items() if name != "hold_out"}
        if run.data != self.data or conditions != self.conditions:
            return None
        done = _identity(run.spec, Recipe.from_data(run.recipe))
        for training in self.trainings:
            if done == _identity(training.spec, recipe_for(training.recipe, run.spec.input)):
                return training
        return None

    def subject(self, training: Training) -> Subject:
        """A training as what is to be trained."""
        where = f"specs.{training.title} of the plan"
        return Subject(parse(training.text), dict(training.recipe), where, data=self.data)

    def titled(self, rows: Iterable[Row]) -> list[Row]:
        """A row for each title in the plan's order, empty where nobody trained it; rows of no title come last."""
        named = {title: Row(title, (), ()) for title in self.titles}
        others = []
        for row in rows:
            training = self.training_of(row.runs[0])
            if training is None or named[training.title].runs:
                others.append(row)
            else:
                named[training.title] = row._replace(title=training.title)
        return [*named.values(), *others]

    def completed(self, title: str, like: Spec) -> Spec:
        """The spec of a title, with the input and the classes that the data brought to another training."""
        spec = next(training.spec for training in self.trainings if training.title == title)
        return msgspec.structs.replace(spec, input=like.input, output=like.output)

    def missing(self, rows: Iterable[Row]) -> Iterator[Training]:
        """The trainings of which there is no run."""
        found = [self.training_of(run) for row in rows for run in row.runs]
        return (training for training in self.trainings if training not in found)


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        InvalidValue: The file cannot be read, or something in it is wrong.
    """
    data, _ = read_yaml(path)
    try:
        file = msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"{path}: {error}. A plan has data, seeds, recipe and specs.") from None
    if "seed" in file.recipe:
        raise InvalidValue(
            f"{path}: recipe.seed: the seeds of a plan are under 'seeds'; leave it out."
        )
    if len(set(file.seeds)) < len(file.seeds):
        raise InvalidValue(f"{path}: seeds: {file.seeds} has one twice; each is trained once.")
    specs = _specs(file.specs, path)
    recipes = [{**file.recipe, "seed": seed} for seed in file.seeds]
    for recipe in recipes:
        Recipe.from_data(recipe, where=f"{path}: recipe")
    trainings = [
        Training(title, spec, recipe, file.specs[title])
        for recipe in recipes
        for title, spec in specs.items()
    ]
    return Plan(file.data, tuple(trainings), unusual(msgspec.structs.asdict(file)))


def _specs(texts: Mapping[str, str], path: Path) -> dict[str, Spec]:
    """The spec of each title."""
    specs = {}
    for title, text in texts.items():
        if not _TITLE.fullmatch(title):
            raise InvalidValue(
                f"{path}: specs: {title!r} cannot be a title, of which a folder's name is made. Write letters, digits "
                "and _ @ . + - alone, and a letter or a digit first."
            )
        try:
            said = without_gaps(parse(text))
            specs[title] = read_spec(said.pop("backbone"), **said)
        except ZooError as error:
            raise InvalidValue(f"{path}: specs.{title}: {error}") from None
    _check_distinct(specs, path)
    return specs


def _check_distinct(specs: Mapping[str, Spec], path: Path) -> None:
    """See that no two rows share a folder, or would be the same training."""
    folders: dict[str, str] = {}
    blocks: dict[str, str] = {}
    for title, spec in specs.items():
        other = folders.setdefault(_folder_name(title), title)
        if other != title:
            raise InvalidValue(
                f"{path}: specs: {other} and {title} would be trained in the same folders; call one of them otherwise."
            )
        other = blocks.setdefault(_blocks(spec), title)
        if other != title:
            raise InvalidValue(
                f"{path}: specs: {other} and {title} are the same (their input follows from the data); leave one of "
                "them out."
            )


def _folder_name(title: str) -> str:
    return title.replace("@", "_")


def _identity(spec: Spec, recipe: Recipe) -> str:
    """What a training is."""
    return json.dumps([_blocks(spec), recipe.to_data()], sort_keys=True)


def _blocks(spec: Spec) -> str:
    """What of a spec is its own; its input and classes follow from the data."""
    blocks = {name: spec.to_data().get(name) for name in ("backbone", "attention", "head")}
    return json.dumps(blocks, sort_keys=True)

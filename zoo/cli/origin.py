"""What a training begins with: weights that are drawn, that the backbone brings, or that were trained before."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.cli.opening import open_file
from zoo.cli.reproducing import check_weights
from zoo.cli.unseen import Trained, trained

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.spec import Spec
    from zoo.train.subject import Subject


class Origin(NamedTuple):
    """What a training begins with.

    Attributes:
        spec: Plain data, with gaps that the data fill.
        recipe: Fields of a recipe.
        before: How the data were divided for the training that it goes on with or repeats.
        model: With weights that are trained already; None where all are drawn, or come with the backbone.
        source: Where these came from.
    """

    spec: Mapping[str, Any]
    recipe: Mapping[str, Any]
    before: Trained
    model: Model | None = None
    source: Mapping[str, Any] = MappingProxyType({})

    @property
    def tokens(self) -> list[str] | None:
        """The vocabulary of a model for texts that is trained already; None for others."""
        from zoo.train.data.for_model import tokens_of

        return None if self.model is None else tokens_of(self.model)

    def noted(self, spec: Spec) -> dict[str, Any]:
        """What is to be noted in the run's folder of a training of a spec, now complete."""
        source = self.source
        if self.model is None and spec.backbone.pretrained:
            source = {"pretrained": spec.backbone.name}
        return {
            **({"started_from": source} if source else {}),
            **({} if self.tokens is None else {"vocabulary": self.tokens}),
        }


def find_origin(args: Namespace, subject: Subject) -> Origin:
    """What the arguments of `zoo train` say that a training is to begin with."""
    from zoo.train.subject import without_origin

    if args.start_from is not None:
        return _file(args, subject)
    if args.finetune:
        return _pretrained(args, subject)
    spec, recipe, version = subject.spec, subject.recipe, subject.version
    if version is not None and args.reproduce:
        return Origin(spec, recipe, trained(args.what, version.provenance))
    if version is not None:
        spec = without_origin(spec)
    return Origin(spec, recipe, trained(args.plan or args.what, None))


def _pretrained(args: Namespace, subject: Subject) -> Origin:
    """The weights of a version, or those that the backbone of a spec brings."""
    from zoo.api import create
    from zoo.train.subject import finetuning_recipe, for_finetuning

    version = subject.version
    recipe = finetuning_recipe(subject.recipe, whole=version is not None)
    if version is None:
        return Origin(for_finetuning(subject.spec), recipe, trained(args.what, None))
    before = trained(args.what, version.provenance)
    model = create(args.what, pretrained=True)
    return Origin(model.spec.to_data(), recipe, before, model, {"ref": str(model.ref)})


def _file(args: Namespace, subject: Subject) -> Origin:
    """The weights of a file."""
    from zoo.train.subject import without_origin

    file, spec, version = open_file(Path(args.start_from)), subject.spec, subject.version
    before = trained(args.start_from, file.metadata.get("provenance"))
    if version is not None and args.reproduce:
        check_weights(version, args.start_from, file.digest)
        repeated = trained(args.what, version.provenance)
        before = before if repeated.split_seed is None else repeated
    elif version is not None:
        spec = without_origin(spec)
    source = {"sha256": file.digest, "recipe": file.metadata.get("recipe", {})}
    return Origin(spec, subject.recipe, before, file.model, source)

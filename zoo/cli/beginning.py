"""Begin a training: what with, on which data, and by which recipe."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from reprlib import Repr
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.cli.data_arguments import evaluation
from zoo.cli.opening import open_file
from zoo.cli.training import fit_run, initial_model, overrides, prepare
from zoo.cli.unseen import Trained, kept_request, trained
from zoo.errors import InvalidValue, counted, percent
from zoo.grammar import is_short_form
from zoo.train.data import open_data

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.spec import Spec, Version
    from zoo.train.data.dataset import Data
    from zoo.train.fitting import Fitted
    from zoo.train.recipe import Recipe
    from zoo.train.run_folder import RunFolder
    from zoo.train.subject import Subject

_FEW_STEPS = 10  # an epoch: with fewer, a recipe's epochs are hardly enough to learn anything
_SMALL_BATCH = 4  # samples: with fewer, what is measured over a batch says little
_SHORT = Repr()  # of a long list the beginning


class _Beginning(NamedTuple):
    """What a training begins with.

    Attributes:
        spec: Plain data, with gaps that the data fill.
        recipe: Fields of a recipe.
        before: How the data were divided for the training that it goes on with or repeats.
        model: With weights that are trained already; None where all are drawn, or come with the backbone.
        origin: What is to be noted of these.
    """

    spec: Mapping[str, Any]
    recipe: Mapping[str, Any]
    before: Trained
    model: Model | None = None
    origin: Mapping[str, Any] = MappingProxyType({})


def begin(args: Namespace, subject: Subject, folder: RunFolder | None = None) -> int:
    """Train a subject as the arguments say, and return the exit code.

    Args:
        args: Of the command.
        subject: What is to be trained.
        folder: Where to, instead of what the arguments say.
    """
    from zoo.train.recipe import Recipe, recipe_for

    what = args.plan or args.what
    _check_words(args, subject)
    Recipe.from_data({**subject.recipe, **overrides(args)})
    prepare(args)
    import torch

    from zoo.train.data.for_model import tokens_of
    from zoo.train.fitting import complete_spec
    from zoo.train.run_folder import RunFolder
    from zoo.train.subject import asked_input

    start = _beginning(args, subject)
    given = {**start.recipe, **overrides(args)}
    tokens = None if start.model is None else tokens_of(start.model)
    request = kept_request(args, start.before)
    rule = Recipe.from_data(given).vocabulary
    folder = folder or RunFolder(Path(args.output or Path("runs") / _name_of(what)))
    folder.check_new()  # before data are read for it
    data = open_data(request, asked_input(start.spec), vocabulary=tokens, rule=rule)
    _check_data(what, subject, data)
    if args.reproduce and subject.version is not None:
        _check_samples(subject.version, data)
    spec = start.spec
    if args.finetune and start.model is not None:
        torch.manual_seed(Recipe.from_data(given).seed)
        start.model.reset_classifier(len(data.labels), data.labels)
        spec = start.model.spec.to_data()
    complete = complete_spec(spec, data, where=f"{subject.where}: spec")
    recipe = recipe_for(given, complete.input)
    notes = [] if args.reproduce else _few_steps(len(data.train), recipe.batch_size)
    if start.model is None:
        model = initial_model(complete, data, recipe)
    else:
        model, recipe, more = _started(start.model, complete, recipe, args)
        notes += more
    about = {"what": what, "request": request.to_data(), **_origin(start, complete)}
    if tokens is not None:
        about["vocabulary"] = tokens
    # A repeated training is measured at once, one of a plan with the others.
    measure = None if args.reproduce or args.plan else evaluation(folder.path, vars(args))
    code, fitted = fit_run(
        model, data, recipe, folder, args, about=about, measure=measure, notes=notes
    )
    if fitted is not None and args.reproduce and subject.version is not None:
        _compare(subject.version, fitted, data)
    return code


def _check_words(args: Namespace, subject: Subject) -> None:
    """See that the options of one call do not contradict each other."""
    if args.finetune and args.start is not None:
        raise InvalidValue("--finetune and --start both say where to begin; give one.")
    if not args.reproduce:
        return
    if subject.version is None or not subject.version.recipe:
        raise InvalidValue(f"--reproduce needs a version with a recipe; {args.what} is none.")
    if args.finetune or overrides(args):
        raise InvalidValue(
            f"--reproduce trains by the recipe of {subject.version.ref} as it is; leave the other options out."
        )
    before = subject.version.provenance.get("started_from")
    if not isinstance(before, Mapping):
        return
    digest, ref, pretrained = (before.get(name) for name in ("sha256", "ref", "pretrained"))
    if digest is not None and args.start is None:
        raise InvalidValue(
            f"{subject.version.ref} began with the weights of another training; give that file with --start "
            f"(sha256 {str(digest)[:12]}...)."
        )
    if ref is not None or pretrained is not None:
        origin = ref if ref is not None else f"pretrained weights of {pretrained}"
        raise InvalidValue(
            f"{subject.version.ref} was not trained from the beginning: it was fine-tuned from {origin}. --reproduce "
            "does not do that; use --finetune."
        )


def _beginning(args: Namespace, subject: Subject) -> _Beginning:
    from zoo.api import create
    from zoo.train.subject import finetuning_recipe, for_finetuning, without_origin

    spec, recipe, version = subject.spec, subject.recipe, subject.version
    if args.start is not None:
        return _with_file(args, subject)
    if args.finetune and version is not None:
        before = trained(args.what, version.provenance)
        model = create(args.what, pretrained=True)
        recipe = finetuning_recipe(recipe, whole=True)
        origin = {"started_from": {"ref": str(model.ref)}}
        return _Beginning(model.spec.to_data(), recipe, before, model, origin)
    if args.finetune:
        recipe = finetuning_recipe(recipe, whole=False)
        return _Beginning(for_finetuning(spec), recipe, trained(args.what, None))
    if version is not None and args.reproduce:
        return _Beginning(spec, recipe, trained(args.what, version.provenance))
    if version is not None:
        spec = without_origin(spec)
    return _Beginning(spec, recipe, trained(args.plan or args.what, None))


def _with_file(args: Namespace, subject: Subject) -> _Beginning:
    """Begin with the weights of a file."""
    from zoo.train.subject import without_origin

    file, spec, version = open_file(Path(args.start)), subject.spec, subject.version
    before = trained(args.start, file.metadata.get("provenance"))
    if version is not None and args.reproduce:
        _check_repeated(args.start, file.digest, version)
        repeated = trained(args.what, version.provenance)
        before = before if repeated.split_seed is None else repeated
    elif version is not None:
        spec = without_origin(spec)
    origin = {"sha256": file.digest, "recipe": file.metadata.get("recipe", {})}
    return _Beginning(spec, subject.recipe, before, file.model, {"started_from": origin})


def _check_repeated(start: str, digest: str, version: Version) -> None:
    """See that a training that is repeated begins with the weights that it began with.

    Raises:
        InvalidValue: It began with others, or with none.
    """
    before = version.provenance.get("started_from")
    expected = before.get("sha256") if isinstance(before, Mapping) else None
    if expected is None:
        raise InvalidValue(
            f"{version.ref} did not begin with the weights of another training; leave --start out."
        )
    if digest != expected:
        raise InvalidValue(
            f"{version.ref} began with other weights (sha256 {str(expected)[:12]}...) than {start} has "
            f"({digest[:12]}...)."
        )


def _started(
    model: Model, spec: Spec, recipe: Recipe, args: Namespace
) -> tuple[Model, Recipe, list[str]]:
    """A model with trained weights, if it is of the spec that is to be trained; its recipe, and what to say of it."""
    from msgspec.structs import replace

    from zoo.weights import without_pretrained

    asked = without_pretrained(spec)
    if model.spec != asked:
        differences = "; ".join(_differences(model.spec.to_data(), asked.to_data()))
        raise InvalidValue(
            f"{args.start} is of another spec than what is trained. There and here: {differences}. Begin with a file of "
            "the same one, or write into the spec what the file has."
        )
    if not recipe.whiten:
        return model, recipe, []
    note = "the recipe's whiten is left out: the first filters are trained already"
    return model, replace(recipe, whiten=False), [note]


def _differences(there: Any, here: Any, path: str = "") -> Iterator[str]:
    """Where two specs, as plain data, are different."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for name in {**there, **here}:
            yield from _differences(there.get(name), here.get(name), f"{path}.{name}".lstrip("."))
    elif there != here:
        yield f"{path} {_SHORT.repr(there)} and {_SHORT.repr(here)}"


def _origin(start: _Beginning, spec: Spec) -> Mapping[str, Any]:
    """What is to be noted of where the weights came from."""
    if start.model is None and spec.backbone.pretrained:
        return {"started_from": {"pretrained": spec.backbone.name}}
    return start.origin


def _check_data(what: str, subject: Subject, data: Data) -> None:
    if subject.data not in (None, data.name):
        raise InvalidValue(
            f"{what} is for {subject.data}, and these data are called {data.name}. Give others, or write "
            f"'data: {data.name}' into it."
        )


def _check_samples(version: Version, data: Data) -> None:
    """See that data are those of a version, whose figures are to be compared; as far as that was noted.

    Raises:
        InvalidValue: They are others.
    """
    name, digests = (version.provenance.get(field) for field in ("data", "digests"))
    if name not in (None, data.name):
        raise InvalidValue(
            f"{version.ref} was trained on {name}, and these data are called {data.name}: --reproduce would compare "
            f"nothing. Give it {name}, or leave --reproduce out."
        )
    there = digests if isinstance(digests, Mapping) else {}
    if others := [
        split for split, digest in data.digests.items() if there.get(split, digest) != digest
    ]:
        raise InvalidValue(
            f"{version.ref} was trained on other samples than these: those of {' and '.join(others)} are not the same. "
            "Bring them back as they were, or leave --reproduce out."
        )


def _few_steps(samples: int, batch_size: int) -> list[str]:
    """What to tell of a batch size that makes few steps of the samples, where a smaller one makes more."""
    steps = max(1, samples // batch_size)
    smaller = max(_SMALL_BATCH, 2 ** ((samples // _FEW_STEPS).bit_length() - 1))
    if steps >= _FEW_STEPS or smaller >= min(batch_size, samples):
        return []
    return [
        f"{counted(steps, 'step')} an epoch; a smaller --batch-size ({smaller}) makes more of {samples} samples"
    ]


def _compare(version: Version, fitted: Fitted, data: Data) -> None:
    """Say how the figures of a repeated training compare with the published ones."""
    from zoo.api import load
    from zoo.cli.terminal import figure, say
    from zoo.train.evaluation import evaluate

    model = load(fitted.path)
    for split in ("validation", "test"):
        name = f"{data.name}/{split}/top1"
        published = version.metrics.get(name)
        if published is None:
            continue
        accuracy = evaluate(model, data.split(split)).accuracy
        points = 100 * (accuracy - published.get("value", published["mean"]))
        say(
            f"{name}  {percent(accuracy)}, published {figure(name, published)}: {points:+.2f} points"
        )


def _name_of(what: str) -> str:
    """What the folder of a run is called: the file or variant, or the words of a spec in short form."""
    if is_short_form(what):
        return "_".join(re.findall(r"[a-z0-9]+", what.lower()))[:80]
    return Path(what.partition("@")[0]).stem

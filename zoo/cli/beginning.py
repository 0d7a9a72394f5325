"""Begin a training: what with, on which data, and by which recipe."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.cli.training import fit_run, initial_model, overrides, prepare, steps_of
from zoo.cli.unseen import Trained, kept_request, trained
from zoo.errors import InvalidValue, counted
from zoo.grammar import is_short_form

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.spec import Version
    from zoo.train.data.dataset import Data
    from zoo.train.fitting import Fitted
    from zoo.train.subject import Subject

_FEW_STEPS = 10  # an epoch: with fewer, a recipe's epochs are hardly enough to learn anything
_SMALL_BATCH = 4  # samples: with fewer, what is measured over a batch says little


def begin(args: Namespace, subject: Subject) -> int:
    """Train a subject as the arguments say, and return the exit code."""
    from msgspec.structs import replace

    from zoo.train.recipe import Recipe, recipe_for
    from zoo.train.subject import (
        asked_input,
        finetuning_recipe,
        for_finetuning,
        without_origin,
    )

    _check_words(args, subject)
    Recipe.from_data({**subject.recipe, **overrides(args)})
    prepare(args)
    import torch

    from zoo.train.data import open_data
    from zoo.train.fitting import complete_spec
    from zoo.weights import without_pretrained

    spec, given = subject.spec, subject.recipe
    model, origin, before = _begin_with(args, subject)
    if args.finetune:
        spec = for_finetuning(spec) if model is None else model.spec.to_data()
        given = finetuning_recipe(given, whole=model is not None)
    elif subject.version is not None and not args.reproduce:
        spec = without_origin(spec)
    given = {**given, **overrides(args)}
    vocabulary = None if model is None or model.vocabulary is None else model.vocabulary.tokens()
    request = kept_request(args, before)
    rule = Recipe.from_data(given).vocabulary
    data = open_data(request, asked_input(spec), vocabulary=vocabulary, rule=rule)
    _check_data(args, subject, data)
    if args.finetune and model is not None:
        torch.manual_seed(Recipe.from_data(given).seed)
        model.reset_classifier(len(data.labels), data.labels)
        spec = model.spec.to_data()
    complete = complete_spec(spec, data, where=f"{subject.where}: spec")
    recipe = recipe_for(given, complete.input)
    notes = [] if args.reproduce else _few_steps(len(data.train), recipe.batch_size)
    if model is None:
        model = initial_model(complete, data, recipe)
    elif model.spec != complete:
        raise InvalidValue(
            f"{args.start} is of another spec than what is trained; begin with a file of the same one."
        )
    elif recipe.whiten:
        recipe = replace(recipe, whiten=False)
        notes.append("the recipe's whiten is left out: the first filters are trained already")
    if without_pretrained(complete) != complete:
        origin = {"started_from": {"pretrained": complete.backbone.name}}
    about = {"what": args.what, "request": request.to_data(), **origin}
    if vocabulary is not None:
        about["vocabulary"] = vocabulary
    output = Path(args.output or Path("runs") / _name_of(args.what))
    code, fitted = fit_run(model.train(), data, recipe, output, args, about=about, notes=notes)
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


class _Beginning(NamedTuple):
    """What a training begins with.

    Attributes:
        model: The model, where it has weights already.
        origin: What is to be noted of it.
        before: How the data were divided for the training that it goes on with or repeats.
    """

    model: Model | None
    origin: dict[str, Any]
    before: Trained


def _begin_with(args: Namespace, subject: Subject) -> _Beginning:
    from zoo.api import create
    from zoo.files import read_whole
    from zoo.weights import parse

    version = subject.version if args.reproduce or args.finetune else None
    before = trained(args.what, version and version.provenance)
    if args.start is not None:
        import hashlib

        from zoo.api import load

        content = read_whole(Path(args.start))
        metadata = parse(content, args.start).metadata
        origin = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "recipe": metadata.get("recipe", {}),
        }
        if before.split_seed is None:
            before = trained(args.start, metadata.get("provenance"))
        return _Beginning(load(args.start), {"started_from": origin}, before)
    if args.finetune and version is not None:
        model = create(args.what, pretrained=True)
        return _Beginning(model, {"started_from": {"ref": str(model.ref)}}, before)
    return _Beginning(None, {}, before)


def _check_data(args: Namespace, subject: Subject, data: Data) -> None:
    if subject.data not in (None, data.name):
        raise InvalidValue(
            f"{args.what} is for {subject.data}, and these data are called {data.name}. Give others, or write "
            f"'data: {data.name}' into it."
        )


def _few_steps(samples: int, batch_size: int) -> list[str]:
    """What to tell of a batch size that makes few steps of the samples, where a smaller one makes more."""
    steps = steps_of(samples, batch_size)
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
        say(f"{name}  {accuracy:.2%}, published {figure(name, published)}: {points:+.2f} points")


def _name_of(what: str) -> str:
    """What the folder of a run is called: the file or variant, or the words of a spec in short form."""
    if is_short_form(what):
        return "_".join(re.findall(r"[a-z0-9]+", what.lower()))[:80]
    return Path(what.partition("@")[0]).stem

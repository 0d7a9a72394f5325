"""Begin a training: a model from what it begins with and the data, and the recipe to train it by."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from zoo.cli.data_arguments import evaluation
from zoo.cli.origin import Origin, find_origin
from zoo.cli.reproducing import check_reproducible, check_samples, compare
from zoo.cli.training import fit_run, initial_model, overrides, prepare
from zoo.cli.unseen import kept_request
from zoo.errors import InvalidValue, counted, some
from zoo.grammar import is_short_form
from zoo.train.data import open_data

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.spec import Spec
    from zoo.train.data.dataset import Data
    from zoo.train.recipe import Recipe
    from zoo.train.run_folder import RunFolder
    from zoo.train.subject import Subject

_FEW_STEPS = 10  # an epoch: with fewer, a recipe's epochs are hardly enough to learn anything
_SMALL_BATCH = 4  # samples: with fewer, what is measured over a batch says little
_SHORT = Repr()  # of a long list the beginning


def begin(args: Namespace, subject: Subject, folder: RunFolder | None = None) -> int:
    """Train a subject as the arguments say, and return the exit code.

    Args:
        args: Of the command.
        subject: What is to be trained.
        folder: Where to, instead of what the arguments say.
    """
    from zoo.train.recipe import Recipe, recipe_for
    from zoo.train.run_folder import RunFolder
    from zoo.train.subject import asked_input

    what = args.plan or args.what
    if args.finetune and args.start_from is not None:
        raise InvalidValue("--finetune and --start-from both say where to begin; give one.")
    repeated = check_reproducible(subject.version, args) if args.reproduce else None
    Recipe.from_data({**subject.recipe, **overrides(args)})
    device = prepare(args)
    from zoo.train.agreement import complete_spec

    origin = find_origin(args, subject)
    request = kept_request(args, origin.before)
    folder = folder or RunFolder(Path(args.output or Path("runs") / _name_of(what)))
    folder.check_new()  # before data are read for it
    given = {**origin.recipe, **overrides(args)}
    data = open_data(
        request,
        asked_input(origin.spec),
        vocabulary=origin.tokens,
        rule=Recipe.from_data(given).vocabulary,
    )
    _check_data(what, subject, data)
    if repeated is not None:
        check_samples(repeated, data)
    data = _with_classes(data, origin, args, where=f"{subject.where}: spec")
    if args.finetune:
        origin = _of_classes(origin, data, Recipe.from_data(given))
    spec = complete_spec(origin.spec, data, where=f"{subject.where}: spec")
    recipe = recipe_for(given, spec.input)
    model, recipe, notes = _initial(origin, spec, data, recipe, args)
    if repeated is None:
        notes += _few_steps(len(data.train), recipe.batch_size)
    about = {"what": what, "request": request.to_data(), **origin.noted(spec)}
    # A repeated training is measured at once, one of a plan with the others.
    measured = repeated is not None or args.plan
    measure = None if measured else evaluation(folder.path, vars(args))
    code, fitted = fit_run(
        model,
        data,
        recipe,
        folder,
        args,
        device=device,
        about=about,
        measure=measure,
        notes=notes,
    )
    if fitted is not None and repeated is not None:
        compare(repeated, fitted, data)
    return code


def _of_classes(origin: Origin, data: Data, recipe: Recipe) -> Origin:
    """What a fine-tuning begins with: of a whole model all but the classifier, which is drawn for the data's classes."""
    import torch

    if origin.model is None:
        return origin
    torch.manual_seed(recipe.seed)
    origin.model.reset_classifier(len(data.labels), data.labels)
    return origin._replace(spec=origin.model.spec.to_data())


def _initial(
    origin: Origin, spec: Spec, data: Data, recipe: Recipe, args: Namespace
) -> tuple[Model, Recipe, list[str]]:
    """The model as its training begins; the recipe of that, and what to say of it."""
    from msgspec.structs import replace

    if origin.model is None:
        return initial_model(spec, data, recipe), recipe, []
    _check_same(origin.model.spec, spec, args.start_from)
    if not recipe.whiten:
        return origin.model, recipe, []
    note = "the recipe's whiten is left out: the first filters are trained already"
    return origin.model, replace(recipe, whiten=False), [note]


def _check_same(there: Spec, spec: Spec, start: str) -> None:
    """See that trained weights are of the spec that is to be trained."""
    from zoo.weights import without_pretrained

    here = without_pretrained(spec)
    if there != here:
        differences = "; ".join(_differences(there.to_data(), here.to_data()))
        raise InvalidValue(
            f"{start} is of another spec than what is trained. There and here: {differences}. Begin with a file of "
            "the same one, or write into the spec what the file has."
        )


def _differences(there: Any, here: Any, path: str = "") -> Iterator[str]:
    """Where two specs, as plain data, are different."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for name in {**there, **here}:
            yield from _differences(there.get(name), here.get(name), f"{path}.{name}".lstrip("."))
    elif there != here:
        yield f"{path} {_SHORT.repr(there)} and {_SHORT.repr(here)}"


def _check_data(what: str, subject: Subject, data: Data) -> None:
    if subject.data not in (None, data.name):
        raise InvalidValue(
            f"{what} is for {subject.data}, and these data are called {data.name}. Give others, or write "
            f"'data: {data.name}' into it."
        )


def _with_classes(data: Data, origin: Origin, args: Namespace, *, where: str) -> Data:
    """Data with the classes that a training goes on with, or that its spec names; else with their own.

    Raises:
        InvalidValue: They have others, or lack one that nothing has learned yet.
    """
    from zoo.train.data.classes import by_name

    if args.finetune and origin.model is not None:  # its classifier is made anew
        return data
    named: Sequence[str] | None = (origin.spec.get("output") or {}).get("labels")
    if origin.model is not None:
        named = named or origin.model.labels
    if named is None:
        return data
    data = by_name(data, named)
    there = set(data.train.labels.tolist())
    lacking = [label for number, label in enumerate(data.labels) if number not in there]
    if lacking and origin.model is None:
        raise InvalidValue(
            f"{where}.output.labels names {some(lacking)}, of which train of {data.name} has no sample. Leave "
            "the labels out of the spec, so that they follow from the data."
        )
    return data


def _few_steps(samples: int, batch_size: int) -> list[str]:
    """What to tell of a batch size that makes few steps of the samples, where a smaller one makes more."""
    steps = max(1, samples // batch_size)
    smaller = max(_SMALL_BATCH, 2 ** ((samples // _FEW_STEPS).bit_length() - 1))
    if steps >= _FEW_STEPS or smaller >= min(batch_size, samples):
        return []
    rest = samples - steps * batch_size
    left = f", and {counted(rest, 'sample')} left over in each" if rest > 0 else ""
    return [
        f"{counted(steps, 'step')} an epoch{left}; a smaller --batch-size ({smaller}) makes more of {samples} samples"
    ]


def _name_of(what: str) -> str:
    """What the folder of a run is called: the file or variant, or the words of a spec in short form."""
    if is_short_form(what):
        return "_".join(re.findall(r"[a-z0-9]+", what.lower()))[:80]
    return Path(what.partition("@")[0]).stem

"""Go on with a training, as it was started."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from msgspec.structs import replace

from zoo.cli.data_arguments import data_request, evaluation
from zoo.cli.noted_data import noted_request, with_noted_data
from zoo.cli.training import fit_run, initial_model, overrides, prepare
from zoo.errors import InvalidValue
from zoo.train.data import open_data
from zoo.train.data.request import USUAL, DataRequest

if TYPE_CHECKING:
    from zoo.train.run_folder import RunFolder


def resume(args: Namespace, folder: RunFolder) -> int:
    """Go on with the run in a folder, and return the exit code."""
    from zoo.spec import Spec
    from zoo.train.recipe import Recipe

    run, output = folder.read(), folder.path
    device = prepare(args)
    from zoo.train.data.classes import by_name
    from zoo.train.resuming import check_data, under_its_name
    from zoo.weights import without_pretrained

    spec, recipe = Spec.from_data(run["spec"]), Recipe.from_data(run["recipe"])
    asked, there = Recipe.from_data({**run["recipe"], **overrides(args)}), recipe.to_data()
    others = [
        f"{name} {there[name]} (asked: {value})"
        for name, value in asked.to_data().items()
        if value != there[name]
    ]
    if others:
        mend = "Resume it as it was, or start another run."
        if folder.ended:
            mend = f"It has ended; to train on, begin another run with --start-from {folder.model_path('last')}."
        raise InvalidValue(f"{output} was started with another recipe: {', '.join(others)}. {mend}")
    if args.what is not None and args.what != run.get("what", args.what):
        raise InvalidValue(f"{output} is a run of {run['what']}, not of {args.what}.")
    request = _found(args, noted_request(folder), folder)
    try:
        data = open_data(
            request,
            spec.to_data()["input"],
            vocabulary=run.get("vocabulary"),
            rule=recipe.vocabulary,
        )
    except InvalidValue as error:
        if args.data is None:
            raise
        raise InvalidValue(
            f"{output} was started with other data than {args.data}: {error}"
        ) from error
    data = under_its_name(folder, data)
    check_data(folder, data)  # before the model, which may not fit others
    data = by_name(data, spec.output.labels or data.labels)
    model = initial_model(without_pretrained(spec), data, recipe)  # the checkpoint has all weights
    said = {
        **request.to_data(),
        "data": args.data or request.what,
        "root": args.root or request.root,
    }
    measure = None if args.plan else evaluation(output, said)
    return fit_run(model, data, recipe, folder, args, device=device, about=None, measure=measure)[0]


def _found(args: Namespace, noted: DataRequest, folder: RunFolder) -> DataRequest:
    """The data that a run was started with, where they are now.

    Raises:
        InvalidValue: The arguments ask for others, or they are where they were no more.
    """
    others = []
    for name in ("text", "label", *USUAL):
        asked, there = getattr(args, name), getattr(noted, name)
        if asked not in (None, there):
            option = f"--{name.replace('_', '-')}"
            had = f"no {option}" if there is None else f"{option} {there}"
            others.append(f"{had} (asked: {asked})")
    if others:
        raise InvalidValue(
            f"{folder.path} was started with other data: {', '.join(others)}. Resume it as it was, or start another run."
        )
    asked = data_request(with_noted_data(args, noted, folder, folder.resume_command))
    return replace(noted, what=asked.what, root=asked.root)

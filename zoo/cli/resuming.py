"""Go on with a training, as it was started."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli.data_arguments import TREATMENTS, data_request
from zoo.cli.training import fit_run, initial_model, overrides, prepare
from zoo.errors import InvalidValue

if TYPE_CHECKING:
    from zoo.train.data.request import DataRequest


def resume(args: Namespace) -> int:
    """Go on with the run in the folder that the arguments name, and return the exit code."""
    import msgspec

    from zoo.spec import Spec
    from zoo.train.recipe import Recipe
    from zoo.train.run_folder import RunFolder

    output = Path(args.resume)
    run = RunFolder(output).read()
    prepare(args)
    from zoo.train.data import open_data
    from zoo.train.data.request import DataRequest

    spec, recipe = Spec.from_data(run["spec"]), Recipe.from_data(run["recipe"])
    asked, there = Recipe.from_data({**run["recipe"], **overrides(args)}), recipe.to_data()
    others = [
        f"{name} {there[name]} (asked: {value})"
        for name, value in asked.to_data().items()
        if value != there[name]
    ]
    if others:
        raise InvalidValue(
            f"{output} was started with another recipe: {', '.join(others)}. Resume it as it was, or start another run."
        )
    if args.what is not None and args.what != run.get("what", args.what):
        raise InvalidValue(f"{output} is a run of {run['what']}, not of {args.what}.")
    try:
        request = msgspec.convert(run.get("request"), DataRequest)
    except msgspec.ValidationError as error:
        raise InvalidValue(
            f"{output}: run.json does not say which data it was started with ({error}); zoo train did not start it."
        ) from None
    _check_same_data(args, request, output)
    data = open_data(
        request,
        spec.to_data()["input"],
        vocabulary=run.get("vocabulary"),
        rule=recipe.vocabulary,
    )
    model = initial_model(spec, data, recipe)
    if args.data is None:  # for the command that is said at the end
        args.data, args.root, args.text, args.label = (
            request.what,
            request.root,
            request.text,
            request.label,
        )
    return fit_run(model, data, recipe, output, args, about=None)[0]


def _check_same_data(args: Namespace, request: DataRequest, output: Path) -> None:
    if args.data is None:
        return
    asked, there = data_request(args).to_data(), request.to_data()
    for name in ("root", "split_seed", *TREATMENTS):
        if getattr(args, name) is None:
            asked[name] = there[name]
    if asked != there:
        raise InvalidValue(
            f"{output} was started with other data; resume it as it was, or start another run."
        )

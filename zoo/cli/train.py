"""`zoo train`: train a variant, or a spec of one's own, by its recipe."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cli import INTERRUPTED
from zoo.errors import InvalidValue
from zoo.grammar import is_short_form

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.spec import Spec
    from zoo.train.recipe import Recipe

SUMMARY = "train a variant, or a YAML file with 'spec' and 'recipe'"

_OVERRIDES = ("epochs", "batch_size", "learning_rate", "precision", "seed")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what",
        nargs="?",
        help="a ref, a YAML file with the blocks 'spec' and 'recipe', or a spec in the short form",
    )
    parser.add_argument("--data", help="name of the data set: mnist, cifar10-jpeg")
    parser.add_argument("--root", help="the folder that the data's files are in")
    parser.add_argument("--output", help="folder for the run (default: runs/<name>)")
    parser.add_argument(
        "--start", metavar="FILE", help="begin with the weights of this file, of the same spec"
    )
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--learning-rate", type=float, help="instead of the recipe's")
    parser.add_argument("--precision", choices=("32", "bf16"), help="instead of the recipe's")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--threads", type=int, help="of the CPU (default: all cores)")


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.train import require_lightning
    from zoo.train.allocator import keep_large_blocks

    require_lightning()
    keep_large_blocks()
    if args.threads is not None:
        set_threads(args.threads)
    if args.resume is not None:
        return _resume(args)
    for name in ("what", "data", "root"):
        if getattr(args, name) is None:
            raise InvalidValue(
                f"zoo train needs {'WHAT' if name == 'what' else f'--{name}'} (or --resume DIR)."
            )
    spec, recipe = read_what(args.what)
    output = Path(args.output or Path("runs") / _name_of(args.what))
    return _train(
        spec, _override(recipe, args), args.data, args.root, output, resume=False, start=args.start
    )


def _name_of(what: str) -> str:
    """What the folder of a run is called: the file or variant, or the words of a spec in short form."""
    if is_short_form(what):
        return "_".join(re.findall(r"[a-z0-9]+", what.lower()))[:80]
    return Path(what.partition("@")[0]).stem


def read_what(what: str) -> tuple[Spec, Recipe]:
    """Return the spec and the recipe of a YAML file or a version in a registry, or of a spec in short form.

    Raises:
        ZooError: There is none of that name, or it does not say what is needed.
    """
    from zoo.spec import Spec
    from zoo.train.recipe import Recipe

    if what.endswith((".yaml", ".yml")):
        from zoo.registry.reader import read_yaml

        data, _ = read_yaml(Path(what))
        if (
            not isinstance(data, dict)
            or "spec" not in data
            or not data.keys() <= {"spec", "recipe"}
        ):
            raise InvalidValue(f"{what}: expected the blocks 'spec' and 'recipe' and nothing else.")
        spec = Spec.from_data(data["spec"], where=f"{what}: spec")
        return spec, Recipe.from_data(data.get("recipe") or {}, where=f"{what}: recipe")
    if is_short_form(what):
        from zoo.blocks import read_spec

        return read_spec(what), Recipe()
    from zoo.api import describe

    version = describe(what)
    return version.spec, Recipe.from_data(version.recipe, where=f"{version.ref}: recipe")


def set_threads(count: int) -> None:
    """Use so many threads on the CPU.

    Raises:
        InvalidValue: Fewer than 1 was asked.
    """
    import torch

    if count < 1:
        raise InvalidValue(f"--threads is {count}; give at least 1.")
    torch.set_num_threads(count)


def _override(recipe: Recipe, args: Namespace) -> Recipe:
    from zoo.train.recipe import Recipe

    given = {name: getattr(args, name) for name in _OVERRIDES if getattr(args, name) is not None}
    return Recipe.from_data({**recipe.to_data(), **given})


def _resume(args: Namespace) -> int:
    from zoo.spec import Spec
    from zoo.train.recipe import Recipe
    from zoo.train.run_folder import RunFolder

    output = Path(args.resume)
    run = RunFolder(output).read()
    spec, recipe = Spec.from_data(run["spec"]), Recipe.from_data(run["recipe"])
    if args.data not in (None, run["data"]) or _override(recipe, args) != recipe:
        raise InvalidValue(
            f"{output} was started with other values; resume it as it was, or start another run."
        )
    if args.what is not None and args.what != run.get("what", args.what):
        raise InvalidValue(f"{output} is a run of {run['what']}, not of {args.what}.")
    return _train(spec, recipe, run["data"], args.root or run["root"], output, resume=True)


def _start_from(path: str, spec: Spec) -> tuple[Model, dict[str, Any]]:
    """Load the model to begin with, and say what it was."""
    import hashlib

    from zoo.api import load
    from zoo.files import read_whole
    from zoo.weights import parse

    content = read_whole(Path(path))
    model = load(path)
    if model.spec != spec:
        raise InvalidValue(
            f"{path} is of another spec than what is trained; begin with a file of the same one."
        )
    recipe = parse(content, path).metadata.get("recipe", {})
    return model.train(), {"sha256": hashlib.sha256(content).hexdigest(), "recipe": recipe}


def _train(
    spec: Spec,
    recipe: Recipe,
    data_name: str,
    root: str,
    output: Path,
    *,
    resume: bool,
    start: str | None = None,
) -> int:
    import torch

    from zoo.api import compose
    from zoo.train.callbacks import best_line, write_line
    from zoo.train.data import open_data
    from zoo.train.fitting import Interrupted, fit, spec_for

    data = open_data(data_name, root)
    torch.manual_seed(recipe.seed)
    about: dict[str, Any] = {"root": str(Path(root).resolve())}
    if start is None:
        model = compose(spec_for(spec, data))
    else:
        model, about["started_from"] = _start_from(start, spec_for(spec, data))
    count = sum(parameter.numel() for parameter in model.parameters())
    write_line(
        f"{count:,} parameters; {len(data.train):,} samples to train on, {len(data.validation):,} to validate."
    )
    try:
        fitted = fit(
            model,
            data,
            recipe,
            output,
            run=about,
            resume=resume,
            progress=sys.stdout.isatty(),
            report=write_line,
        )
    except Interrupted as error:
        write_line(str(error))
        return INTERRUPTED
    write_line(f"{best_line(fitted.best, fitted.path)}; {fitted.seconds:.0f} s.")
    return 0

"""`zoo train`: train a variant, or a spec of one's own, by its recipe."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.cli import INTERRUPTED
from zoo.cli.data_arguments import TREATMENTS, add_data_arguments, data_request, data_words
from zoo.cli.opening import subject_of
from zoo.cli.unseen import Trained, kept_request, trained
from zoo.errors import InvalidValue, counted
from zoo.grammar import is_short_form

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.spec import Version
    from zoo.train.data.dataset import Data
    from zoo.train.data.request import DataRequest
    from zoo.train.fitting import Fitted
    from zoo.train.recipe import Recipe
    from zoo.train.subject import Subject

SUMMARY = "train a variant, or a YAML file with 'spec' and 'recipe'"

_OVERRIDES = ("epochs", "batch_size", "learning_rate", "precision", "seed")
_FEW_STEPS = 10  # an epoch: with fewer, a recipe's epochs are hardly enough to learn anything
_SMALL_BATCH = 4  # samples: with fewer, what is measured over a batch says little


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what",
        nargs="?",
        help="a ref, a YAML file with the blocks 'spec' and 'recipe', or a spec in the short form",
    )
    add_data_arguments(parser, required=False)
    parser.add_argument("--output", help="folder for the run (default: runs/<name>)")
    parser.add_argument(
        "--start", metavar="FILE", help="begin with the weights of this file, of the same spec"
    )
    parser.add_argument(
        "--finetune",
        action="store_true",
        help="begin with pretrained weights: those of the version, or of the backbone with attentions that "
        "change nothing at first",
    )
    parser.add_argument(
        "--reproduce",
        action="store_true",
        help="train with the version's recipe as it is, and compare the figures",
    )
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    parser.add_argument(
        "--plan",
        metavar="FILE",
        help="train what this YAML file plans and nobody has trained yet, each in a folder below --output; started "
        "several times, once a core, they share the work",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="ROW", help="of a plan, the trainings of these rows"
    )
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--learning-rate", type=float, help="instead of the recipe's")
    parser.add_argument("--precision", choices=("32", "bf16"), help="instead of the recipe's")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--threads", type=int, help="of the CPU (default: all cores)")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="train through torch.compile: a minute or so to begin with, less time an epoch",
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write logs for TensorBoard beside the CSV"
    )


def run(args: Namespace) -> int:
    """Run the command."""
    if args.resume is not None:
        for name in ("output", "start", "finetune", "reproduce", "plan"):
            if getattr(args, name):
                raise InvalidValue(
                    f"--resume goes on with a run as it was started; leave --{name} out."
                )
        return _resume(args)
    if args.plan is not None:
        return _train_plan(args)
    if args.only is not None:
        raise InvalidValue("--only names rows of a plan; give the plan with --plan.")
    for name in ("what", "data"):
        if getattr(args, name) is None:
            raise InvalidValue(
                f"zoo train needs {'WHAT' if name == 'what' else f'--{name}'} (or --resume DIR)."
            )
    return _begin(args, subject_of(args.what))


def _train_plan(args: Namespace) -> int:
    from zoo.cli.planned import train_planned

    for name in ("what", "start", "finetune", "reproduce", *_OVERRIDES):
        value = getattr(args, name)
        if value is not None and value is not False:
            said = value if name == "what" else f"--{name.replace('_', '-')}"
            raise InvalidValue(f"--plan says what is trained, and how; leave {said} out.")

    def begin(subject: Subject, folder: Path) -> int:
        return _begin(Namespace(**{**vars(args), "what": args.plan, "output": folder}), subject)

    def resume(folder: Path) -> int:
        return _resume(Namespace(**{**vars(args), "resume": folder}))

    return train_planned(args, begin, resume)


def _prepare(args: Namespace) -> None:
    """Import what trains, which takes seconds: mistakes in what was asked are found before."""
    from zoo.cli.processor import prepare_processor
    from zoo.train import require_lightning

    require_lightning()
    prepare_processor(args.threads)
    if args.compile:
        import torch

        from zoo.cli.compiler import check_compiler

        check_compiler(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _begin(args: Namespace, subject: Subject) -> int:
    from msgspec.structs import replace

    from zoo.train.recipe import Recipe, recipe_for
    from zoo.train.subject import (
        asked_input,
        finetuning_recipe,
        for_finetuning,
        without_origin,
    )

    _check_words(args, subject)
    Recipe.from_data({**subject.recipe, **_overrides(args)})
    _prepare(args)
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
    given = {**given, **_overrides(args)}
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
        model = _compose(complete, data, recipe)
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
    code, fitted = _fit(model.train(), data, recipe, output, args, about=about, notes=notes)
    if fitted is not None and args.reproduce and subject.version is not None:
        _compare(subject.version, fitted, data)
    return code


def _resume(args: Namespace) -> int:
    import msgspec

    from zoo.spec import Spec
    from zoo.train.recipe import Recipe
    from zoo.train.run_folder import RunFolder

    output = Path(args.resume)
    run = RunFolder(output).read()
    _prepare(args)
    from zoo.train.data import open_data
    from zoo.train.data.request import DataRequest

    spec, recipe = Spec.from_data(run["spec"]), Recipe.from_data(run["recipe"])
    asked, there = Recipe.from_data({**run["recipe"], **_overrides(args)}), recipe.to_data()
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
    model = _compose(spec, data, recipe)
    if args.data is None:  # for the command that is said at the end
        args.data, args.root, args.text, args.label = (
            request.what,
            request.root,
            request.text,
            request.label,
        )
    return _fit(model, data, recipe, output, args, about=None)[0]


def _check_words(args: Namespace, subject: Subject) -> None:
    """See that the options of one call do not contradict each other."""
    if args.finetune and args.start is not None:
        raise InvalidValue("--finetune and --start both say where to begin; give one.")
    if not args.reproduce:
        return
    if subject.version is None or not subject.version.recipe:
        raise InvalidValue(f"--reproduce needs a version with a recipe; {args.what} is none.")
    if args.finetune or _overrides(args):
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


def _compose(spec: Any, data: Data, recipe: Recipe) -> Model:
    """Build the model as the recipe begins: weights drawn with its seed, first filters set."""
    import torch

    from zoo.api import compose
    from zoo.train.data.splits import ImageSplit
    from zoo.train.whitening import whiten

    torch.manual_seed(recipe.seed)
    model = compose(spec)
    if model.vocabulary is not None:
        model.vocabulary.fill(data.vocabulary)
    if recipe.whiten and isinstance(data.train, ImageSplit):
        whiten(model, data.train.images)
    return model


def _fit(
    model: Model,
    data: Data,
    recipe: Recipe,
    output: Path,
    args: Namespace,
    *,
    about: dict[str, Any] | None,
    notes: Sequence[str] = (),
) -> tuple[int, Fitted | None]:
    """Train, `about` being noted of a new run; None goes on with the one that is there.

    Returns:
        The exit code, and in the first process what came of it.
    """
    from zoo.cli.terminal import printable
    from zoo.train.callbacks import best_line, write_line
    from zoo.train.fitting import Interrupted, fit
    from zoo.train.processes import Processes

    first = Processes.here().first

    def say(text: str) -> None:
        if first:
            write_line(text)

    for note in (*data.notes, *notes):
        say(printable(f"note: {note}"))
    count = sum(parameter.numel() for parameter in model.parameters())
    batches, size = (
        _steps(len(data.train), recipe.batch_size),
        min(recipe.batch_size, len(data.train)),
    )
    say(
        f"{count:,} parameters; {counted(len(data.train), 'sample')} to train on, {len(data.validation):,} to validate; "
        f"{counted(batches, 'batch', 'batches')} of {size} an epoch."
    )
    try:
        fitted = fit(
            model,
            data,
            recipe,
            output,
            run=about,
            resume=about is None,
            compiled=args.compile,
            progress=sys.stdout.isatty(),
            tensorboard=args.tensorboard,
            report=say,
        )
    except Interrupted as error:
        say(str(error))
        return INTERRUPTED, None
    say(f"{best_line(fitted.best, fitted.path)}; {fitted.seconds:.0f} s.")
    if (
        not args.reproduce and args.plan is None
    ):  # which measure it, or have it measured, themselves
        say(printable(f"Measure it on the test split: {_evaluation(output, args)}"))
    return 0, fitted if first else None


def _few_steps(samples: int, batch_size: int) -> list[str]:
    """What to tell of a batch size that makes few steps of the samples, where a smaller one makes more."""
    steps = _steps(samples, batch_size)
    smaller = max(_SMALL_BATCH, 2 ** ((samples // _FEW_STEPS).bit_length() - 1))
    if steps >= _FEW_STEPS or smaller >= min(batch_size, samples):
        return []
    return [
        f"{counted(steps, 'step')} an epoch; a smaller --batch-size ({smaller}) makes more of {samples} samples"
    ]


def _steps(samples: int, batch_size: int) -> int:
    """Steps of an epoch: whole batches; what is left over waits for another epoch."""
    return max(1, samples // batch_size)


def _evaluation(output: Path, args: Namespace) -> str:
    """The command that measures a run on the data that it was trained on."""
    from shlex import join

    where = str(output) if {"/", "."} & set(str(output)) else f"./{output}"
    return join(["zoo", "evaluate", where, *data_words(args)])


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


def _overrides(args: Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in _OVERRIDES if getattr(args, name) is not None}


def _check_data(args: Namespace, subject: Subject, data: Data) -> None:
    if subject.data not in (None, data.name):
        raise InvalidValue(f"{args.what} is for {subject.data}, and these data are {data.name}.")


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

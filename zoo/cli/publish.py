"""`zoo publish`: a file becomes a version of a variant, in a registry."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from math import isclose, isfinite
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from zoo.cli.data_arguments import evaluation
from zoo.cli.terminal import complain, figure, say
from zoo.errors import InvalidValue, UnknownName, counted
from zoo.files import read_whole

_ROUNDING = 1e-6  # of the figures in a registry


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what",
        nargs="+",
        help="a file that zoo.save or zoo train wrote, or the folder of a run (its best file); behind it "
        "folders of further runs that differ by their seed, to publish figures over all of them",
    )
    add_target(parser, "made if there is none yet")
    parser.add_argument("--name", required=True, help="name of the variant")
    parser.add_argument("--version", required=True, help="MAJOR.MINOR.PATCH")
    parser.add_argument("--summary", default="", help="one line for people")
    parser.add_argument("--license", default="", help="SPDX identifier of the weights' licence")
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="a figure beside those that zoo has measured, e.g. mnist/test/top1=0.995; of several runs one each",
    )
    parser.add_argument(
        "--allow-similar-name",
        action="store_true",
        help="take a new name that is one letter from another one there",
    )


def add_target(parser: ArgumentParser, note: str) -> None:
    """Add the arguments that say which registry is changed."""
    parser.add_argument(
        "--registry",
        required=True,
        help="folder, address or name (zoo registry list) of a registry, e.g. ./our-zoo or s3://bucket/our-zoo; "
        f"{note}",
    )
    parser.add_argument(
        "--stage",
        metavar="DIR",
        help="lay the files out in this new folder, for a registry that zoo cannot write to",
    )


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.api import publish
    from zoo.registry.managing import base_to_change

    base = base_to_change(args.registry)
    new = _new_folder(base)
    first, *others = (Path(path) for path in args.what)
    measured = _figures(first, others)
    ref = publish(
        first,
        registry=base,
        name=args.name,
        version=args.version,
        summary=args.summary,
        license=args.license,
        metrics={**_asked_figures(args, measured), **measured},
        allow_similar_name=args.allow_similar_name,
        stage=args.stage,
    )
    if not args.license:
        complain(
            "note",
            "no licence is given, so that others may not use these weights; --license names one, for the next version.",
        )
    if args.stage:
        show_commands(base, args.stage)
        return 0
    say(
        f"{ref} is published in {base}, sha256 {ref.sha256}",
        f'Use it: zoo.create("{ref}", pretrained=True, registries=[zoo.Registry("{base}")])',
    )
    if new is not None:
        complain("note", f"{new} held no registry yet; one was made there.")
    return 0


def _new_folder(base: str) -> str | None:
    """The folder in which a registry is to be made; None where one is, or only a network can tell."""
    from zoo.registry import INDEX, normal_base

    folder = normal_base(base)
    is_there = "://" in folder or Path(folder, INDEX).exists()
    return None if is_there else folder


def show_commands(registry: str, stage: str) -> None:
    """Say how what was laid out comes to its place."""
    from zoo.registry.staging import commands

    say(
        f"Laid out in {stage}; nothing is written to {registry} yet. Bring it there, in this order, and let nobody",
        "else publish there meanwhile, or one of you loses a version:",
        *(f"    {command}" for command in commands(registry, Path(stage))),
        f"Then: rm -r {shlex.quote(stage)}",
    )


def _asked_figures(
    args: Namespace, measured: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The figures that the arguments say beside what was measured of runs and what stands in the file."""
    asked = {text: _metric(text, len(args.what)) for text in args.metric}
    known = {**_in_file(Path(args.what[0])), **measured} if asked else {}
    for text, (name, metric) in asked.items():
        if name in known and not _agree(metric, known[name]):
            raise InvalidValue(
                f"--metric {text!r}: that was measured, with {figure(name, known[name])}. What was measured is "
                "published as it is; leave the option out."
            )
    return {name: metric for name, metric in asked.values() if name not in known}


def _in_file(path: Path) -> dict[str, Any]:
    """The figures that a file has of itself."""
    from zoo.registry.publishing import BEST
    from zoo.weights import parse

    file = path / BEST if path.is_dir() else path
    found = parse(read_whole(file), str(file)).metadata.get("metrics")
    figures = found.items() if isinstance(found, dict) else ()
    return {name: one for name, one in figures if isinstance(one, dict) and "mean" in one}


def _agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(
        isclose(one.get(field) or 0.0, other.get(field) or 0.0, abs_tol=_ROUNDING)
        for field in ("mean", "std")
    )


def _figures(first: Path, others: list[Path]) -> dict[str, dict[str, Any]]:
    """What was measured of runs, beside the figures in the file."""
    from zoo.train.publication import figures_of_runs

    if first.is_dir():
        try:
            return figures_of_runs([first, *others])
        except UnknownName:
            if commands := [_evaluation(path) for path in (first, *others) if _lacks_test(path)]:
                raise UnknownName(
                    "Runs are published together by what all were measured on. Measure the others on the test split, "
                    f"too: {'; '.join(commands)}"
                ) from None
            raise
    if others:
        raise InvalidValue(
            f"{first} is a file, and {others[0]} comes behind it. One file is a version; several runs that "
            "differ by their seed are given by their folders."
        )
    return {}


def _lacks_test(path: Path) -> bool:
    from zoo.train.run_folder import RunFolder

    return "test/top1" not in RunFolder(path).evaluations("best")


def _evaluation(path: Path) -> str:
    from zoo.train.run_folder import RunFolder

    request = RunFolder(path).read().get("request") or {}
    return evaluation(path, {**request, "data": request.get("what", "DATA")})


def _metric(text: str, trainings: int) -> tuple[str, dict[str, float]]:
    from zoo.registry.metrics import check_metrics

    name, _, written = text.partition("=")
    try:
        values = [float(value) for value in written.split(",")]
    except ValueError:
        values = []
    if not name or not values or not all(map(isfinite, values)):
        raise InvalidValue(
            f"--metric {text!r} is not of the form NAME=VALUE with a finite number, e.g. mnist/test/top1=0.995."
        )
    if len(values) != trainings:
        raise InvalidValue(
            f"--metric {text!r} has {counted(len(values), 'value')} for {counted(trainings, 'training')}; give one for "
            "each, in the order of their folders."
        )
    for value in values:
        check_metrics({name: {"mean": value}})
    if trainings == 1:
        return name, {"mean": values[0], "seeds": 1}
    return name, {
        "mean": round(fmean(values), 6),
        "std": round(stdev(values), 6),
        "seeds": trainings,
        "value": values[0],
    }

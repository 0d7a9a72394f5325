"""`zoo publish`: a file becomes a version of a variant, in a registry."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from zoo.cli.terminal import complain, say
from zoo.errors import InvalidValue

SUMMARY = "publish a file as a version, in a registry"


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
        help="a figure beside those in the file, e.g. mnist/test/top1=0.995; of several trainings one each",
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
        help=f"folder or address, e.g. ./our-zoo or s3://bucket/our-zoo; {note}",
    )
    parser.add_argument(
        "--stage",
        metavar="DIR",
        help="lay the files out in this new folder, for a registry that zoo cannot write to",
    )


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.api import publish

    first, *others = (Path(path) for path in args.what)
    ref = publish(
        first,
        registry=args.registry,
        name=args.name,
        version=args.version,
        summary=args.summary,
        license=args.license,
        metrics={**_figures(first, others), **dict(_metric(text) for text in args.metric)},
        allow_similar_name=args.allow_similar_name,
        stage=args.stage,
    )
    if not args.license:
        complain(
            "note",
            "no licence is given, so that others may not use these weights; --license names one, for the next version.",
        )
    if args.stage:
        show_commands(args.registry, args.stage)
        return 0
    say(
        f"{ref} is published in {args.registry}, sha256 {ref.sha256}",
        f'Use it: zoo.create("{ref}", pretrained=True, registries=[zoo.Registry("{args.registry}")])',
    )
    return 0


def show_commands(registry: str, stage: str) -> None:
    """Say how what was laid out comes to its place."""
    from zoo.registry.staging import commands

    say(
        f"Laid out in {stage}; nothing is written to {registry} yet. Bring it there, in this order, and let nobody",
        "else publish there meanwhile, or one of you loses a version:",
        *(f"    {command}" for command in commands(registry, Path(stage))),
        f"Then: rm -r {shlex.quote(stage)}",
    )


def _figures(first: Path, others: list[Path]) -> dict[str, dict[str, Any]]:
    """What was measured of runs, beside the figures in the file."""
    from zoo.train.publication import figures_of_runs

    if first.is_dir():
        return figures_of_runs([first, *others])
    if others:
        raise InvalidValue(
            f"{first} is a file, and {others[0]} comes behind it. One file is a version; several runs that "
            "differ by their seed are given by their folders."
        )
    return {}


def _metric(text: str) -> tuple[str, dict[str, float]]:
    name, _, written = text.partition("=")
    try:
        values = [float(value) for value in written.split(",")]
    except ValueError:
        raise InvalidValue(
            f"--metric {text!r} is not of the form NAME=VALUE, e.g. mnist/test/top1=0.995."
        ) from None
    if len(values) == 1:
        return name, {"mean": values[0], "seeds": 1}
    return name, {
        "mean": round(fmean(values), 6),
        "std": round(stdev(values), 6),
        "seeds": len(values),
    }

"""`zoo publish`: a file becomes a version of a variant, in the registry of a folder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from zoo.cli.terminal import say
from zoo.errors import InvalidValue

SUMMARY = "publish a file as a version, in the registry of a folder"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", help="a file that zoo.save or zoo train wrote")
    parser.add_argument(
        "--registry", required=True, help="folder; made if it holds no registry yet"
    )
    parser.add_argument("--name", required=True, help="name of the variant")
    parser.add_argument("--version", required=True, help="MAJOR.MINOR.PATCH")
    parser.add_argument("--summary", default="", help="one line for people")
    parser.add_argument("--license", default="", help="SPDX identifier of the weights' licence")
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a figure beside those in the file, e.g. mnist/test/top1=0.995",
    )


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.api import publish

    ref = publish(
        args.file,
        registry=args.registry,
        name=args.name,
        version=args.version,
        summary=args.summary,
        license=args.license,
        metrics=dict(_metric(text) for text in args.metric),
    )
    say(
        f"{ref} is published in {args.registry}, sha256 {ref.sha256}",
        f'Use it: zoo.create("{ref}", pretrained=True, registries=[zoo.Registry("{args.registry}")])',
    )
    return 0


def _metric(text: str) -> tuple[str, dict[str, float]]:
    name, _, value = text.partition("=")
    try:
        return name, {"mean": float(value), "seeds": 1}
    except ValueError:
        raise InvalidValue(
            f"--metric {text!r} is not of the form NAME=VALUE, e.g. mnist/test/top1=0.995."
        ) from None

"""`zoo get`: fetch weights, verified, and say where they are."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from zoo.cli.terminal import say


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "refs", metavar="REF", nargs="+", help="name, name@1, name@1.2.0, team/name@1, ..."
    )
    parser.add_argument(
        "--lock", metavar="FILE", help="the versions are those that this lock file holds"
    )


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.downloads import download

    for ref in args.refs:
        say(str(download(ref, lock=args.lock)))
    return 0

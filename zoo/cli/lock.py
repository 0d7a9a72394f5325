"""`zoo lock`: pin refs to the versions that they come to now."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from zoo.cli.terminal import say


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("refs", metavar="REF", nargs="+", help="name, name@1, team/name, ...")


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.downloads import lock

    say(*lock(args.refs).splitlines())
    return 0

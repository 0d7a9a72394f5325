"""`zoo sync`: fetch everything that a lock file holds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from zoo.cli.terminal import say


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("lock", metavar="FILE", help="a file that `zoo lock` wrote")


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.downloads import sync

    say(*map(str, sync(args.lock)))
    return 0

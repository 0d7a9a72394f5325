"""`zoo verify`: hash again what is on this machine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from zoo.cli.terminal import say
from zoo.errors import InvalidValue, counted


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("refs", metavar="REF", nargs="*", help="versions whose weights are here")
    parser.add_argument(
        "--all", action="store_true", help="the whole cache, and every registry that is a folder"
    )


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.downloads import verify

    if args.all == bool(args.refs):
        raise InvalidValue("Say what to verify: either refs, or --all.")
    done = verify() if args.all else [one for ref in args.refs for one in verify(ref)]
    damaged = [one for one in done if one.problem]
    for one in damaged:
        say(f"damaged: {one.path} {one.problem}; it should have sha256 {one.sha256}")
    whole = len(done) - len(damaged)
    are = "is what it" if whole == 1 else "are what they"
    say(f"{whole} of {counted(len(done), 'file')} {are} should be.")
    if damaged:
        say(
            "`zoo get REF` fetches again what is damaged in the cache; a registry's folder, copy again."
        )
    return 1 if damaged else 0

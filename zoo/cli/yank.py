"""`zoo yank`: withdraw a version."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from zoo.cli.publish import add_target, show_commands
from zoo.cli.terminal import say


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("ref", help="the version, e.g. our_cnn@1.0.0")
    add_target(parser, "it is changed there")
    parser.add_argument("--reason", default="", help="why; whoever asks for that version is told")
    parser.add_argument("--undo", action="store_true", help="take the withdrawal back")


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.api import yank
    from zoo.registry.managing import base_to_change

    base = base_to_change(args.registry)
    ref = yank(args.ref, registry=base, reason=args.reason, undo=args.undo, stage=args.stage)
    if args.stage:
        show_commands(base, args.stage)
    elif args.undo:
        say(f"{ref} is no longer withdrawn in {base}.")
    else:
        say(
            f"{ref} is withdrawn in {base}: {args.reason.strip()}",
            f"Refs without its number pass it over. {ref} itself still loads, with a warning that says why.",
        )
    return 0

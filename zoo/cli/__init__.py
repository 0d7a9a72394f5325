"""The command `zoo`: the table of its commands, and how each is run.

A command is a module with `add_arguments(parser)` and `run(args) -> int`. Only the one that was asked for is
imported, so that every command starts as fast as its own work allows.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from zoo.cli.terminal import OutputError, complain, flush, say, say_error
from zoo.errors import InvalidValue, ZooError, near_misses

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

DONE, WRONG, PIPE_CLOSED = 0, 2, 141
STOPPED = 128  # and the number of the signal
INTERRUPTED = STOPPED + 2  # by Ctrl-C
_PATIENCE = 10.0  # seconds that the other processes of torchrun leave the first one to say an error


class Command(NamedTuple):
    """Where a command is, and what it does."""

    module: str
    summary: str


COMMANDS = {
    "list": Command("zoo.cli.listing", "list variants, or components"),
    "show": Command("zoo.cli.show", "show all that is known of a variant or a component"),
    "predict": Command("zoo.cli.predict", "classify images, sounds or texts"),
    "demo": Command(
        "zoo.cli.demo", "draw digits, classify them, and show where the attention looked"
    ),
    "train": Command("zoo.cli.train", "train a variant, or a YAML file with 'spec' and 'recipe'"),
    "evaluate": Command("zoo.cli.evaluate", "measure a variant or a file on data"),
    "compare": Command("zoo.cli.compare", "compare runs over their seeds, or models on data"),
    "bench": Command("zoo.cli.bench", "time models on this machine, side by side"),
    "get": Command("zoo.cli.get", "fetch weights, verify them, and print where they are"),
    "verify": Command(
        "zoo.cli.verify", "hash weights on this machine again, and name those that are damaged"
    ),
    "cache": Command("zoo.cli.cache", "list or prune what was fetched, or say where it is"),
    "lock": Command("zoo.cli.lock", "print a lock file that pins refs to versions and bytes"),
    "sync": Command("zoo.cli.sync", "fetch everything that a lock file holds, verified"),
    "registry": Command("zoo.cli.registry", "add, list, remove or refresh registries"),
    "publish": Command("zoo.cli.publish", "publish a file as a version, in a registry"),
    "yank": Command("zoo.cli.yank", "withdraw a version, with a reason"),
    "serve": Command("zoo.cli.serve", "serve a registry's folder to others, read-only, over HTTP"),
    "plugins": Command("zoo.cli.plugins", "list the plug-ins, and what is wrong with them"),
    "doctor": Command("zoo.cli.doctor", "check this installation"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: The words behind `zoo`; by default those of this process.

    Returns:
        0 if all went well, 1 if a check found a problem, 2 if something was wrong with what was asked,
        130 if Ctrl-C interrupted it, 128 and its number if another signal stopped a training.
    """
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv))
        flush()
    except OutputError as error:
        _drop_output()
        return _refuse(error)
    except ZooError as error:
        return _refuse(error)
    except KeyboardInterrupt:
        say_error("", "zoo: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return PIPE_CLOSED
    return code


def _run(words: list[str]) -> int:
    first = words[0] if words else ""
    if first in ("-h", "--help", "help"):
        say(*_overview())
        return DONE
    if first == "--version":
        from zoo import __version__

        say(f"zoo {__version__}")
        return DONE
    if not words:
        say_error(*_overview())
        return WRONG
    if first not in COMMANDS:
        kind = "option" if first.startswith("-") else "command"
        raise InvalidValue(
            f"There is no {kind} {first!r}. {near_misses(first, COMMANDS)} See `zoo --help`."
        )
    return _run_command(first, words[1:])


def _run_command(name: str, words: list[str]) -> int:
    from importlib import import_module

    from zoo.cli.arguments import make_parser
    from zoo.cli.warning_lines import readable_warnings

    command = import_module(COMMANDS[name].module)
    parser: ArgumentParser = make_parser(f"zoo {name}", COMMANDS[name].summary)
    command.add_arguments(parser)
    try:
        args = parser.parse_args(words)
    except SystemExit:  # argparse has shown the help
        return DONE
    with readable_warnings():
        code: int = command.run(args)
    return code


def _overview() -> list[str]:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return [
        "usage: zoo COMMAND ...",
        "",
        "Any backbone x any attention x any pooling head, as one named, versioned, verifiable file.",
        "",
        *lines,
        "",
        "`zoo COMMAND --help` says more. `zoo --version` says which zoo this is.",
    ]


def _refuse(error: ZooError) -> int:
    if os.environ.get("ZOO_DEBUG"):
        import traceback

        traceback.print_exception(error)
    rank = "LOCAL_RANK" if "TORCHELASTIC_RUN_ID" in os.environ else "SLURM_PROCID"
    if os.environ.get(rank, "0") != "0":
        # The first process finds the same: as soon as it has said so, torchrun or srun -K ends this one.
        time.sleep(_PATIENCE)
    complain("error", str(error))
    return WRONG


def _drop_output() -> None:
    # Whoever read our output has gone. Python would try to flush it once more at exit, and complain.
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # the output is no file
        sys.stdout = None

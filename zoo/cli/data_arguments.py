"""The arguments that say which data, shared by the commands that read them."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.train.data import KNOWN
from zoo.train.data.request import CHOICES, USUAL, DataRequest


def add_data_arguments(parser: ArgumentParser) -> None:
    """Add them."""
    parser.add_argument(
        "--data",
        help=f"a folder, an archive or a file; or with --root the name of a data set: {', '.join(sorted(KNOWN))}",
    )
    parser.add_argument("--root", help="the folder that a named data set's files are in")
    parser.add_argument("--text", metavar="COLUMN", help="of a CSV or TSV file (default: text)")
    parser.add_argument("--label", metavar="COLUMN", help="of a CSV or TSV file (default: label)")
    parser.add_argument(
        "--hold-out",
        metavar="KEY=VALUE",
        help="what the test alone gets: speaker=NAME for sounds, fold=N for mr",
    )
    parser.add_argument(
        "--unreadable",
        choices=CHOICES["unreadable"],
        help="what to do with samples that cannot be read (default: as for the training, else refuse)",
    )
    parser.add_argument(
        "--leaks",
        choices=CHOICES["leaks"],
        help="what to do with samples that are in a later split, too (default: as for the training, else report)",
    )
    parser.add_argument(
        "--split-seed",
        type=int,
        help="of the splits that are made where the data bring none (default: that of the training, else 0)",
    )


def evaluation(run: Path, said: Mapping[str, Any]) -> str:
    """The command that measures a run on the data that it was trained on; `said` is as for `data_words`."""
    where = str(run) if {"/", "."} & set(str(run)) else f"./{run}"
    return shlex.join(["zoo", "evaluate", where, *data_words(said)])


def data_words(said: Mapping[str, Any]) -> list[str]:
    """The words of a command that asks for data; how they are divided, a run knows itself.

    Args:
        said: Values of `data`, `root`, `text` and `label`, and perhaps of other options.
    """
    named = {name: said.get(name) for name in ("data", "root", "text", "label")}
    return [word for name, value in named.items() if value for word in (f"--{name}", value)]


def data_request(args: Namespace) -> DataRequest:
    """What the arguments say; paths are made absolute, so that a run can be resumed from anywhere."""
    what = args.data
    if what not in KNOWN and Path(what).exists():
        what = str(Path(what).resolve())
    root = None if args.root is None else str(Path(args.root).resolve())
    said = {name: getattr(args, name) for name in USUAL if getattr(args, name) is not None}
    return DataRequest(what=what, root=root, text=args.text, label=args.label, **said)

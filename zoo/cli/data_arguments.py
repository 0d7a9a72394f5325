"""The arguments that say which data, shared by the commands that read them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.train.data.request import DataRequest


# What can be done with samples that are amiss; the first is done where nothing is said.
TREATMENTS: dict[str, tuple[Any, ...]] = {
    "unreadable": ("refuse", "skip"),
    "leaks": ("report", "drop", "refuse"),
}


def add_data_arguments(parser: ArgumentParser, *, required: bool) -> None:
    """Add them."""
    parser.add_argument(
        "--data",
        required=required,
        help="a folder, an archive or a file; or with --root the name of a data set: cifar10, cifar100, "
        "cifar10-jpeg, fashion-mnist, fsdd, mnist, mr, sst2, trec",
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
        choices=TREATMENTS["unreadable"],
        help="what to do with samples that cannot be read (default: as for the training, else refuse)",
    )
    parser.add_argument(
        "--leaks",
        choices=TREATMENTS["leaks"],
        help="what to do with samples that are in a later split, too (default: as for the training, else report)",
    )
    parser.add_argument(
        "--split-seed",
        type=int,
        help="of the splits that are made where the data bring none (default: that of the training, else 0)",
    )


def data_words(args: Namespace) -> list[str]:
    """The words of a command that asks for the same data; how they are divided, a run knows itself."""
    said = {name: getattr(args, name) for name in ("data", "root", "text", "label")}
    return [word for name, value in said.items() if value for word in (f"--{name}", value)]


def data_request(args: Namespace) -> DataRequest:
    """What the arguments say; paths are made absolute, so that a run can be resumed from anywhere."""
    from pathlib import Path

    from zoo.train.data import KNOWN
    from zoo.train.data.request import DataRequest

    what = args.data
    if what not in KNOWN and Path(what).exists():
        what = str(Path(what).resolve())
    return DataRequest(
        what=what,
        root=None if args.root is None else str(Path(args.root).resolve()),
        text=args.text,
        label=args.label,
        hold_out=args.hold_out,
        unreadable=args.unreadable or TREATMENTS["unreadable"][0],
        leaks=args.leaks or TREATMENTS["leaks"][0],
        split_seed=args.split_seed or 0,
    )

"""`zoo registry`: the registries that are looked in."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from math import isfinite
from typing import TYPE_CHECKING, Any

from zoo.cli.arguments import add_actions
from zoo.cli.terminal import say, say_json, table, width
from zoo.errors import ZooError, counted

if TYPE_CHECKING:
    from zoo.registry import Registry


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = add_actions(
        parser,
        {
            "add": "add a registry behind the others, after fetching its index",
            "list": "list the registries in the order in which they are looked in",
            "remove": "remove a registry that was added, and forget what was seen of it",
            "refresh": "fetch the index of a registry anew, or of all",
        },
    )
    actions["add"].add_argument("name", metavar="NAME", help="what refs call it: NAME/variant")
    actions["add"].add_argument(
        "base",
        metavar="BASE",
        help="a folder, or an address such as https://models.example.org/zoo",
    )
    actions["list"].add_argument("--json", action="store_true", help="for programs")
    actions["remove"].add_argument("name", metavar="NAME", help="a registry that was added")
    actions["refresh"].add_argument(
        "name", metavar="NAME", nargs="?", help="a registry; without it, all"
    )
    actions["refresh"].add_argument(
        "--accept-rollback",
        action="store_true",
        help="take an index that is older than one seen before, or that calls itself otherwise",
    )


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.registry import managing

    if args.action == "add":
        registry = managing.add_registry(args.name, args.base)
        say(f"{registry.name} is {_what_it_is(registry)}")
    elif args.action == "remove":
        managing.remove_registry(args.name)
        say(f"{args.name} is removed. Weights that came from it stay in the cache.")
    elif args.action == "refresh":
        for registry in managing.refresh(args.name, accept_rollback=args.accept_rollback):
            say(f"{registry.name} is {_what_it_is(registry)}")
    else:
        _list(managing.registries(), as_json=args.json)
    return 0


def _what_it_is(registry: Registry) -> str:
    number = len(registry.known_index().names())
    return (
        f"{registry.id} at {registry.base}: {counted(number, 'variant')}, serial {registry.serial}"
    )


def _list(registries: list[Registry], *, as_json: bool) -> None:
    rows = [_row(registry) for registry in registries]
    if as_json:
        say_json(rows)
        return
    from zoo.registry.remote import in_words

    headings = ("name", "id", "serial", "fetched", "base", "problem")
    told = [
        {**row, "fetched": None if row["age"] is None else f"{in_words(row['age'])} ago"}
        for row in rows
    ]
    cells = [
        ["" if row[heading] is None else str(row[heading]) for heading in headings] for row in told
    ]
    say(*table(headings, cells, wrapped=2, columns=width()))


def _row(registry: Registry) -> dict[str, Any]:
    """What is known of a registry without the network; `age` in seconds, since its index was fetched."""
    row: dict[str, Any] = {"name": None, "id": None, "serial": None, "age": None}
    row |= {"base": registry.base, "problem": None}
    try:
        index = registry.cached_index()
        if index is None:
            row["problem"] = "never fetched"
        else:
            row |= {"id": index.id, "serial": index.serial}
            seconds = registry.index_age()
            if seconds is not None and isfinite(seconds):
                row["age"] = round(seconds)
    except ZooError as error:
        row["problem"] = str(error)
    row["name"] = registry.configured_name or (row["id"] or "").replace("-", "_") or None
    return row

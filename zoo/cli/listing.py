"""`zoo list`: what there is, variants or components, as a table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from zoo import api
from zoo.cli.arguments import whole_number
from zoo.cli.terminal import count, figure, say, say_json, table, width, wrap
from zoo.errors import InvalidValue, UnknownName, near_misses

if TYPE_CHECKING:
    from zoo.api import VariantRow
    from zoo.component import Component

SUMMARY = "list variants, or components"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "glob", nargs="?", default="*", metavar="GLOB", help="only names like this, with * and ?"
    )
    parser.add_argument(
        "--attention", metavar="A", help="only variants with this attention, e.g. cbam"
    )
    parser.add_argument(
        "--family",
        metavar="F",
        help="only attentions of this family: channel, spatial, mixed, self, branch",
    )
    parser.add_argument(
        "--max-params", metavar="N", help="only variants with at most so many parameters, e.g. 1M"
    )
    parser.add_argument(
        "--sort", metavar="KEY", help="ref (default), params, or a metric such as mnist/test/top1"
    )
    parser.add_argument(
        "--components",
        nargs="?",
        const="",
        metavar="KIND",
        help="list components instead: backbone, attention, head",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: Namespace) -> int:
    """Run the command."""
    if args.components is not None:
        _components(args)
    else:
        _variants(args)
    return 0


def show_variants(rows: list[VariantRow]) -> None:
    """Write variants as a table."""
    cells = [
        (
            row.ref,
            count(row.params),
            _metrics(row),
            " + ".join(map(_short, row.components)),
            row.summary,
        )
        for row in rows
    ]
    say(
        *table(
            ("ref", "params", "metrics", "components", "summary"), cells, wrapped=3, columns=width()
        )
    )


def _variants(args: Namespace) -> None:
    rows = api.list_variants(
        args.glob,
        attention=args.attention,
        family=args.family,
        max_params=None
        if args.max_params is None
        else whole_number(args.max_params, "--max-params"),
        sort=args.sort or "ref",
    )
    if args.attention is not None and not rows:
        _check_attention(args.attention)
    if args.json:
        say_json([row._asdict() for row in rows])
    elif rows:
        show_variants(rows)
    else:
        say(*wrap(_nothing_found(args), width()))


def _components(args: Namespace) -> None:
    for option in ("attention", "max_params", "sort"):
        if getattr(args, option) is not None:
            raise InvalidValue(
                f"--{option.replace('_', '-')} picks variants; leave it out with --components."
            )
    found = [
        component
        for component in api.list_components(args.components or None)
        if fnmatchcase(component.name, args.glob) and args.family in (None, component.family)
    ]
    if args.json:
        say_json([component_data(component) for component in found])
    elif found:
        cells = [(c.title, c.family or "", c.origin, c.paper, c.summary) for c in found]
        say(
            *table(
                ("component", "family", "origin", "paper", "summary"),
                cells,
                wrapped=2,
                columns=width(),
            )
        )
    else:
        say(
            "Nothing found. `zoo list --components` lists them all; `zoo plugins` shows where they come from."
        )


def component_data(component: Component) -> dict[str, object]:
    """A component as plain data."""
    fields = (
        "kind",
        "name",
        "family",
        "summary",
        "paper",
        "ndims",
        "mask",
        "distribution",
        "version",
    )
    return {name: getattr(component, name) for name in fields}


def _check_attention(name: str) -> None:
    known = [component.name for component in api.list_components("attention")]
    if name not in known:
        raise UnknownName(f"No plug-in offers attention/{name}. {near_misses(name, known)}")


def _nothing_found(args: Namespace) -> str:
    everything = api.list_variants()
    if not everything:
        return "There are no variants in any registry yet. `zoo list --components` lists what to compose one from."
    asked = [f"with a name like {args.glob!r}"] if args.glob != "*" else []
    for option in ("attention", "family", "max_params"):
        value = getattr(args, option)
        asked += [f"--{option.replace('_', '-')} {value}"] if value is not None else []
    names = [row.ref.partition("@")[0] for row in everything]
    hint = (
        near_misses(args.glob, names)
        if args.glob != "*" and not set("*?[") & set(args.glob)
        else ""
    )
    return (
        f"No variant {' and '.join(asked)}. {hint} `zoo list` lists all {len(everything)}; "
        f"leave out {'a condition' if len(asked) > 1 else 'the condition'} to see more."
    ).replace("  ", " ")


def _metrics(row: VariantRow) -> str:
    shown = []
    for name, metric in row.metrics.items():
        data, _, measure = name.partition("/")
        shown.append(
            f"{data} {measure.removeprefix('test/')} {figure(name, metric)}".replace("  ", " ")
        )
    return ", ".join(shown)


def _short(title: str) -> str:
    return title.partition("/")[2]

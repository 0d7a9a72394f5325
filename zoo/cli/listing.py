"""`zoo list`: what there is, variants or components, as a table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING

from zoo import api
from zoo.cli.arguments import whole_number
from zoo.cli.terminal import (
    complain,
    count,
    figure,
    say,
    say_json,
    say_json_list,
    table,
    width,
    wrap,
)
from zoo.component import FAMILIES, KINDS
from zoo.errors import InvalidValue, UnknownName, counted, near_misses
from zoo.listing import VariantRow, Variants, find_variants, names_like
from zoo.registry.requirements import how_to_install

if TYPE_CHECKING:
    from zoo.component import Component

_MOST_NAMED = 20  # packages in one command
_LIMIT = 1000  # rows of a table that somebody may still want to read
# What `zoo list` and `zoo.list_variants` call alike.
_CONDITIONS = ("backbone", "attention", "family", "head", "ndim", "max_params", "metric")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    families = ", ".join(FAMILIES)
    for words, metavar, text in (
        ("--attention", "A", "only variants with this attention, e.g. cbam"),
        ("--family", "F", f"only attentions of this family: {families}"),
        ("--backbone", "B", "only variants with this backbone, e.g. attn_cnn"),
        ("--head", "H", "only variants with this pooling head, e.g. gem"),
        ("--max-params", "N", "only variants with at most so many parameters, e.g. 1M"),
        ("--metric", "M", "only variants of which this holds, e.g. 'mnist/test/top1>0.99'"),
        ("--sort", "KEY", "ref (default), params, or a metric such as mnist/test/top1"),
        (
            "--limit",
            "N",
            f"show at most so many variants (default: {_LIMIT}, with --json all; 0: all)",
        ),
    ):
        parser.add_argument(words, metavar=metavar, help=text)
    parser.add_argument(
        "glob", nargs="?", default="*", metavar="GLOB", help="only names like this, with * and ?"
    )
    parser.add_argument(
        "--ndim", type=int, choices=(1, 2), help="only variants for sequences (1) or images (2)"
    )
    parser.add_argument(
        "--components",
        nargs="?",
        const="",
        metavar="KIND",
        help=f"list components instead, all or of one kind: {', '.join(KINDS)}",
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="for programs")
    forms.add_argument(
        "--markdown",
        action="store_true",
        help="components as a page, with what each follows and costs",
    )


def run(args: Namespace) -> int:
    """Run the command."""
    if args.components is not None:
        _components(args)
    else:
        _variants(args)
    return 0


def show_variants(rows: list[VariantRow]) -> None:
    """Write variants as a table, with their registries where there are several."""
    several = len({row.registry for row in rows}) > 1
    cells = [
        (
            row.ref,
            row.registry if several else "",
            count(row.params),
            _metrics(row),
            " + ".join(map(_short, row.components)),
            row.summary,
        )
        for row in rows
    ]
    headings = ("ref", "registry", "params", "metrics", "components", "summary")
    say(*table(headings, cells, wrapped=3, columns=width()))


def _variants(args: Namespace) -> None:
    if args.markdown:
        raise InvalidValue("--markdown is a page of components; give --components, too.")
    conditions = {name: getattr(args, name) for name in _CONDITIONS}
    if args.max_params is not None:
        conditions["max_params"] = whole_number(args.max_params, "--max-params")
    limit = None if args.json else _LIMIT
    if args.limit is not None:
        limit = whole_number(args.limit, "--limit") or None
    found = find_variants(args.glob, **conditions, sort=args.sort or "ref")
    rows = islice(found, limit)
    if args.json:
        say_json_list(row._asdict() for row in rows)
    elif shown := list(rows):
        show_variants(shown)
        if (there := found.count()) > len(shown):
            complain("note", f"{len(shown)} of {there} variants are shown. All: --limit 0")
    else:
        say(*wrap(_nothing_found(args, found), width()))
    _tell_of_unusable(found)


def _tell_of_unusable(found: Variants) -> None:
    """Say how many variants the table lacks, since what they need is not here, and how to have it."""
    number, wanting = found.unusable()
    if not number:
        return
    more = len(wanting) - _MOST_NAMED
    for_all = f", and {more} packages more" if more > 0 else ""
    complain(
        "note",
        f"{counted(number, 'variant')} not shown, for want of packages that are not installed here. "
        f"{how_to_install(one.words for one in wanting[:_MOST_NAMED])}{for_all}",
    )


def _components(args: Namespace) -> None:
    for name in (*_CONDITIONS, "sort", "limit"):
        if name != "family" and getattr(args, name) is not None:
            raise InvalidValue(
                f"--{name.replace('_', '-')} picks variants; leave it out with --components."
            )
    if args.family is not None and args.family not in FAMILIES:
        raise UnknownName(
            f"There is no family {args.family!r}. {near_misses(args.family, FAMILIES)}"
        )
    found = [
        component
        for component in api.list_components(args.components or None)
        if fnmatchcase(component.name, args.glob) and args.family in (None, component.family)
    ]
    if args.json:
        say_json([component_data(component) for component in found])
    elif found and args.markdown:
        from zoo.cli.catalogue import page

        say(*page(found).splitlines())
    elif found:
        cells = [(c.title, c.family or "", c.origin, c.paper, c.summary) for c in found]
        headings = ("component", "family", "origin", "paper", "summary")
        say(*table(headings, cells, wrapped=2, columns=width()))
    else:
        say("Nothing found. `zoo list --components` lists all components there are.")


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


def _nothing_found(args: Namespace, found: Variants) -> str:
    from zoo.registry.queries import is_pattern

    if found.unusable()[0]:
        return "No variant of these can be used here."
    if not find_variants().count() and not find_variants().unusable()[0]:
        return "There are no variants in any registry yet. `zoo list --components` lists what to compose one from."
    asked = [f"a name like {args.glob!r}"] if args.glob != "*" else []
    for name in _CONDITIONS:
        value = getattr(args, name)
        asked += [f"--{name.replace('_', '-')} {value}"] if value is not None else []
    named = find_variants(args.glob)
    known = is_pattern(args.glob) or named.count() or named.unusable()[0]
    hint = "" if known else names_like(args.glob)
    wider = "Leave out a condition to see more, or all:" if len(asked) > 1 else "To see them all:"
    return " ".join(
        part
        for part in (f"No variant has {' and '.join(asked)}.", hint, wider, "`zoo list`.")
        if part
    )


def _metrics(row: VariantRow) -> str:
    """The figures on test data; where there are none, all."""
    on_test = {name: metric for name, metric in row.metrics.items() if "/test/" in name}
    return ", ".join(
        f"{name.replace('/test/', ' ').replace('/', ' ')} {figure(name, metric)}"
        for name, metric in (on_test or row.metrics).items()
    )


def _short(title: str) -> str:
    return title.partition("/")[2]

"""`zoo show`: all that is known of a variant's version, or of a component."""

from __future__ import annotations

import inspect
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import api
from zoo.cli.costs import component_cost, cost_data, spec_cost
from zoo.cli.listing import component_data
from zoo.cli.opening import file_of, is_architecture, path_or_ref
from zoo.cli.terminal import count, figure, printable, say, say_json, width, wrap
from zoo.component import KINDS
from zoo.errors import UnknownName, ZooError, counted
from zoo.finding import find
from zoo.grammar import is_short_form
from zoo.headers import header
from zoo.plugins import catalog
from zoo.registry.requirements import how_to_install, missing

if TYPE_CHECKING:
    from zoo.component import Component
    from zoo.registry import Registry
    from zoo.registry.index import Listing
    from zoo.spec import Version

_LABEL = 12


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what",
        metavar="WHAT",
        help="a ref (attn_cnn_small, attn_cnn_small@1.0.0), a .safetensors file, the folder of a run (runs/mine),"
        " KIND/NAME (attention/cbam), or a spec in the short form ('timm/resnet50 + cbam@branch')",
    )
    parser.add_argument(
        "--slots", action="store_true", help="the slots of a backbone (timm/resnet50), as a tree"
    )
    parser.add_argument(
        "--cost",
        action="store_true",
        help="count the multiply-adds of a ref or a file, too, for which its model is built",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: Namespace) -> int:
    """Run the command."""
    kind, _, name = args.what.partition("/")
    file = file_of(args.what)
    if file is not None and not args.slots:
        _show_file(str(file), with_cost=args.cost, as_json=args.json)
    elif args.slots or is_short_form(args.what):
        from zoo.cli.composed import show_composed, show_slots

        (show_slots if args.slots else show_composed)(args.what, as_json=args.json)
    elif kind in KINDS:
        _show_component(kind, name, as_json=args.json)
    elif is_architecture(args.what):
        _show_component("backbone", args.what, as_json=args.json)
    else:
        with path_or_ref(args.what):
            _show_version(args.what, with_cost=args.cost, as_json=args.json)
    return 0


def _show_file(path: str, *, with_cost: bool, as_json: bool) -> None:
    """Show what a file that `zoo.save` wrote says of itself, and the parameters of its model."""
    import hashlib
    from math import prod

    from zoo.files import read_whole
    from zoo.weights import parse

    content = read_whole(Path(path))
    file = parse(content, path)
    parameters, known = _parameters(path)
    data = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "params": parameters,
        "values": sum(prod(entry.shape) for entry in file.entries.values()),
        **file.metadata,
    }
    costs = spec_cost(file.spec) if with_cost else ""
    if as_json:
        say_json({**data, "cost": cost_data(costs)})
        return
    say(path, "")
    say(*_line("weights", f"sha256:{data['sha256']}, {data['size']:,} bytes"))
    say(*_line("parameters", printable(known)))
    say(*_line("values", f"{data['values']:,} in {counted(len(file.entries), 'tensor')}"))
    say(*_line("costs", printable(costs)), "")
    say(*_block("components", _origins(file.metadata.get("components"))))
    for title in ("metrics", "spec", "recipe", "provenance"):
        say(*_block(title, file.metadata.get(title)))


def _parameters(path: str) -> tuple[int | None, str]:
    """How many parameters the model of a file has, and that for people; or why that is not known.

    A file does not tell them from its other tensors; its model does.
    """
    try:
        number = sum(parameter.numel() for parameter in api.load(path).parameters())
    except ZooError as error:
        return None, f"not counted: {error}"
    return number, f"{number:,} ({count(number)})"


def _origins(components: Any) -> Any:
    """Whence a file's components came, with words for those that no distribution brought."""
    if not isinstance(components, dict):
        return components
    own = "registered in a process"
    return {
        title: own if origin == [None, None] else origin for title, origin in components.items()
    }


def _show_version(what: str, *, with_cost: bool, as_json: bool) -> None:
    try:
        registry, version, _ = find(what)
    except UnknownName as error:
        titles = [c.title for c in api.list_components() if c.name == what]
        if not titles:
            raise
        raise UnknownName(f"{error} A component has that name: `zoo show {titles[0]}`.") from error
    costs = spec_cost(version.spec) if with_cost else ""
    if as_json:
        say_json({**_version_data(version, registry), "cost": cost_data(costs)})
        return
    say(str(version.ref), *_summary(version.summary), "")
    weights = version.weights
    say(
        *_line("withdrawn", version.yanked),
        *_line(
            "registry",
            f"{registry.id} at {registry.base}" if registry else "none that names this file now",
        ),
        *_line(
            "parameters",
            f"{version.params:,} ({count(version.params)})"
            if version.params is not None
            else "not said",
        ),
        *_line("costs", printable(costs)),
        *_line(
            "weights", f"sha256:{weights.sha256}, {weights.size:,} bytes" if weights else "none"
        ),
        *_line("licence", version.license or "not said"),
        *_line("requires", ", ".join(f"{name} {rule}" for name, rule in version.requires.items())),
        *_line("missing", _missing(version)),
        *_line("versions", ", ".join(_versions(registry, version))),
        "",
    )
    figures = {
        name: figure(name, metric) + _seeds(name, metric)
        for name, metric in version.metrics.items()
    }
    blocks = {
        "metrics": figures,
        "spec": version.spec.to_data(),
        "recipe": version.recipe,
        "provenance": version.provenance,
    }
    for title, block in blocks.items():
        say(*_block(title, block))


def _missing(version: Version) -> str:
    """What is to be installed before a version can be used here."""
    wanting = missing(version.requires)
    return how_to_install(one.words for one in wanting) if wanting else ""


def _version_data(version: Version, registry: Registry | None) -> dict[str, Any]:
    weights = version.weights
    return {
        "ref": str(version.ref),
        "registry": registry.id if registry else None,
        "summary": version.summary,
        "spec": version.spec.to_data(),
        "weights": {"sha256": weights.sha256, "size": weights.size} if weights else None,
        "params": version.params,
        "metrics": version.metrics,
        "recipe": version.recipe,
        "requires": version.requires,
        "license": version.license,
        "provenance": version.provenance,
        "yanked": version.yanked,
        "versions": [str(one.number) for one in _listings(registry, version)],
    }


def _listings(registry: Registry | None, version: Version) -> list[Listing]:
    """All versions of a variant, the oldest first."""
    known = registry.known_index().listings(version.ref.name) if registry else ()
    return sorted(known, key=lambda one: one.number)


def _versions(registry: Registry | None, version: Version) -> list[str]:
    return [
        f"{one.number}{' (this)' if one.number == version.ref.number else ''}{' (withdrawn)' if one.yanked is not None else ''}"
        for one in _listings(registry, version)
    ]


def _seeds(name: str, metric: dict[str, Any]) -> str:
    seeds, value = metric.get("seeds", 1), metric.get("value")
    own = "" if value is None else f"; these weights {figure(name, {'mean': value})}"
    return f" (mean of {seeds} trainings{own})" if seeds > 1 else ""


def _show_component(kind: str, name: str, *, as_json: bool) -> None:
    component = catalog().component(kind, name)
    cls = component.load()
    options = _options(cls)
    # Of a name space; this also tells whether there is one of that name in it.
    default_input = component.default_input(name, {}) if name != component.name else {}
    costs = component_cost(component, name)
    if as_json:
        say_json(
            {
                **component_data(component),
                "name": name,
                "target": _target(component),
                "options": {
                    option: {"type": hint, "default": default}
                    for option, (hint, default) in options.items()
                },
                "input": default_input or None,
                "cost": cost_data(costs),
                "about": header(cls).splitlines(),
            }
        )
        return
    texts = [f"{option}: {hint} = {default}" for option, (hint, default) in options.items()]
    say(f"{kind}/{name}", *_summary(component.summary), "")
    say(
        *(line.rstrip() for text in header(cls).splitlines() for line in [f"  {printable(text)}"]),
        "",
    )
    say(
        *_line("family", component.family),
        *_line("paper", component.paper),
        *_line(
            "works on",
            " and ".join({1: "(N, C, L)", 2: "(N, C, H, W)"}[ndim] for ndim in component.ndims),
        ),
        *_line("mask", "honoured" if component.mask else "not honoured"),
        *_line("classifier", "its own, before it pools" if hasattr(cls, "make_classifier") else ""),
        *_line("origin", component.origin),
        *_line("class", _target(component)),
        *_line("input", str(default_input) if default_input else ""),
        *_line("costs", printable(costs)),
        *_lines_of("options", texts or ["none"]),
    )


def _options(cls: Any) -> dict[str, tuple[str, str]]:
    """The options that a spec may give, with their types and defaults as texts."""
    found = {}
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in (
            "ndim",
            "architecture",
        ):
            hint = "any" if parameter.annotation is parameter.empty else parameter.annotation
            default = (
                "(required)" if parameter.default is parameter.empty else repr(parameter.default)
            )
            found[parameter.name] = (
                hint if isinstance(hint, str) else inspect.formatannotation(hint),
                default,
            )
    return found


def _target(component: Component) -> str:
    target = component.target
    return target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}"


def _summary(text: str) -> list[str]:
    """Indented; nothing if there is none."""
    return wrap(text, width(), indent="  ") if text else []


def _line(label: str, text: str | None) -> list[str]:
    """A labelled text; nothing if there is nothing to say."""
    return _lines_of(label, [text] if text else [])


def _lines_of(label: str, texts: list[str]) -> list[str]:
    """Texts one below the other, each in as many lines as it takes, with a label before the first."""
    columns = width()
    room = None if columns is None else columns - _LABEL - 2
    lines = [line for text in texts for line in wrap(text, room)]
    return [
        f"  {label if number == 0 else '':<{_LABEL}}{line}" for number, line in enumerate(lines)
    ]


def _block(title: str, data: Any) -> list[str]:
    """A block of data as it could stand in a registry.yaml."""
    if not data:
        return []
    import yaml

    lines = [f"  {title}"]
    for name, value in data.items():
        text: str = yaml.safe_dump(
            {name: value},
            default_flow_style=None if isinstance(value, dict | list) else False,
            sort_keys=False,
            allow_unicode=True,
            width=(width() or 100) - 4,
        )
        lines += [f"    {line}" for line in text.splitlines()]
    return [*lines, ""]

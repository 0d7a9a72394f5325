"""`zoo plugins`: which plug-ins are installed, how loading them went, and which of their names clash."""

from __future__ import annotations

import warnings
from argparse import ArgumentParser, Namespace

from zoo.cli.terminal import say, say_json, table, width, wrap
from zoo.component import KINDS
from zoo.errors import counted
from zoo.plugins import Catalog, Plugin, PluginWarning, catalog


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: Namespace) -> int:
    """Run the command."""
    offers = quiet_catalog()
    plugins, clashes = offers.plugins, name_clashes(offers)
    if args.json:
        say_json(
            {
                "plugins": [
                    {
                        "name": plugin.entry.name,
                        "distribution": plugin.entry.distribution,
                        "version": plugin.entry.version,
                        "state": plugin.state,
                        "problem": plugin.problem,
                        "components": [component.title for component in plugin.components],
                        "registries": plugin.registries,
                        "transports": _schemes(plugin),
                    }
                    for plugin in plugins
                ],
                "clashes": clashes,
            }
        )
        return 0
    if not plugins:
        say("No plug-ins are installed. Reinstall attn-zoo, which brings some.")
        return 0
    cells = [
        (
            plugin.entry.name,
            f"{plugin.entry.distribution} {plugin.entry.version}",
            plugin.state,
            _offers(plugin),
            plugin.problem,
        )
        for plugin in plugins
    ]
    say(
        *table(
            ("plug-in", "distribution", "state", "offers", "problem"),
            cells,
            wrapped=1,
            columns=width(),
        )
    )
    for title, origins in clashes.items():
        say(*wrap(f"Clash: {clash_message(title, origins)}", width()))
    return 0


def quiet_catalog() -> Catalog:
    """The catalog, without the warnings about broken plug-ins, for who reports on them anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        return catalog()


def name_clashes(offers: Catalog) -> dict[str, list[str]]:
    """The names that several plug-ins offer, with who does."""
    origins: dict[str, list[str]] = {}
    for component in offers.components():
        origins.setdefault(component.title, []).append(component.origin)
    return {title: several for title, several in origins.items() if len(several) > 1}


def clash_message(title: str, origins: list[str]) -> str:
    """A sentence about a name clash."""
    return (
        f"{title} is offered by {' and by '.join(origins)}, so the name cannot be used. "
        "Uninstall one of them, or leave it out with ZOO_DISABLE_PLUGINS=<plug-in>."
    )


def _offers(plugin: Plugin) -> str:
    """What a plug-in offers, in numbers; its transports by their schemes."""
    kinds = [component.kind for component in plugin.components]
    numbers = {kind: kinds.count(kind) for kind in KINDS} | {"registry": len(plugin.registries)}
    plural = {"registry": "registries"}
    offers = [counted(number, kind, plural.get(kind)) for kind, number in numbers.items() if number]
    return ", ".join([*offers, *(f"{scheme}://" for scheme in _schemes(plugin))])


def _schemes(plugin: Plugin) -> list[str]:
    return [scheme for transport in plugin.transports for scheme in transport.schemes]

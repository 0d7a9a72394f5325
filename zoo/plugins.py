"""Finds plug-ins one by one, and keeps what they offer in a catalog.

A plug-in that raises is reported and left out, never fatal. Two that offer one name are an error when
that name is used, never "last wins".
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from zoo import hookspecs
from zoo.component import KINDS, Component
from zoo.distributions import EntryPoint, installed_entry_points
from zoo.errors import InvalidValue, PluginError, UnknownName, near_misses
from zoo.transports import BUILT_IN, Transport

if TYPE_CHECKING:
    from torch import nn

    Class = TypeVar("Class", bound=type[nn.Module])

_HOOK_OF_KIND = {"backbone": "zoo_backbones", "attention": "zoo_attentions", "head": "zoo_heads"}
# What a component of each kind is, and how a spec says it, for those who say it as another kind.
_PLACE_OF_KIND = {
    "backbone": "{name} is a backbone, which stands first: '{name} + avg'.",
    "attention": "{name} is an attention, which says its slot: {name}@branch.",
    "head": "{name} is a head, which has no slot: 'attn_cnn + {name}'.",
}


class PluginWarning(UserWarning):
    """A plug-in was left out."""


class Plugin:
    """An installed plug-in, and how loading it went.

    Attributes:
        entry: Its entry point.
        state: `loaded`, `broken` or `disabled`.
        problem: Why it is broken, for people; empty otherwise.
        components: What it offers.
        registries: Paths or addresses of the registries that it brings.
        transports: The transports that it offers.
    """

    def __init__(self, entry: EntryPoint) -> None:
        self.entry = entry
        self.state = "loaded"
        self.problem = ""
        self.components: list[Component] = []
        self.registries: list[str] = []
        self.transports: list[Transport] = []


class Catalog:
    """The components that plug-ins offer and that were registered in this process.

    Args:
        entries: Entry points to load plug-ins from; None means those of the installed distributions.
        disable: Names of plug-ins (left side of the entry point, or distribution) to leave out; one or several.
    """

    def __init__(
        self, entries: Iterable[EntryPoint] | None = None, *, disable: str | Collection[str] = ()
    ) -> None:
        disable = _names(disable)
        self.plugins: list[Plugin] = []
        self._offers: dict[tuple[str, str], list[Component]] = {}
        for entry in installed_entry_points() if entries is None else entries:
            plugin = _load(entry, disable)
            self.plugins.append(plugin)
            for component in plugin.components:
                self._offers.setdefault((component.kind, component.name), []).append(component)

    @property
    def registries(self) -> list[str]:
        """Paths or addresses of the registries that plug-ins bring."""
        return [folder for plugin in self.plugins for folder in plugin.registries]

    def transport(self, scheme: str) -> Transport:
        """Return the one transport for addresses that begin with `scheme://`.

        Raises:
            UnknownName: There is none.
            PluginError: Several plug-ins offer one, or one offers a scheme that is built in.
        """
        known = [*BUILT_IN, *(offer for plugin in self.plugins for offer in plugin.transports)]
        offers = [offer for offer in known if scheme in offer.schemes]
        if not offers:
            schemes = {scheme for offer in known for scheme in offer.schemes}
            raise UnknownName(
                f"No transport reaches {scheme}:// addresses. {near_misses(scheme, schemes)}"
            )
        if len(offers) > 1:
            raise PluginError(
                f"{scheme}:// is offered by {' and by '.join(str(offer.distribution) for offer in offers)}. "
                "Uninstall one of them, or leave it out with ZOO_DISABLE_PLUGINS=<plug-in>."
            )
        return offers[0]

    def components(self, kind: str | None = None) -> list[Component]:
        """All components, or those of one kind, by kind and name.

        Where two plug-ins offer one name both are listed; `component` then refuses the name.
        """
        if kind is not None and kind not in KINDS:
            raise UnknownName(f"{kind!r} is no kind of component. {near_misses(kind, KINDS)}")
        offers = [offer for group in self._offers.values() for offer in group]
        wanted = [offer for offer in offers if kind in (None, offer.kind)]
        return sorted(wanted, key=lambda offer: (KINDS.index(offer.kind), offer.name))

    def component(self, kind: str, name: str) -> Component:
        """Return the one component of `kind` that is called `name`.

        Raises:
            UnknownName: No plug-in offers it.
            PluginError: Several do.
        """
        offers = self._offers.get((kind, name)) or self._offers.get((kind, _name_space(name)), [])
        if not offers:
            raise UnknownName(self._nobody_offers(kind, name))
        if len(offers) > 1:
            raise PluginError(
                f"{kind}/{name} is offered by {' and by '.join(offer.origin for offer in offers)}. "
                "Uninstall one of them, or leave it out with ZOO_DISABLE_PLUGINS=<plug-in>."
            )
        return offers[0]

    def register(self, component: Component) -> Component:
        """Add a component for the life of this catalog.

        Registering the same name once more replaces what was registered before (as a notebook cell
        that is run again does); a name that a plug-in offers is refused.

        Raises:
            InvalidValue: The component has no kind.
            PluginError: A plug-in offers the name.
        """
        if component.kind not in KINDS:
            raise InvalidValue(
                f"Component {component.name!r} has kind {component.kind!r}; "
                f"say one with Component(kind=...): {', '.join(KINDS)}."
            )
        offers = self._offers.get((component.kind, component.name), [])
        for offer in offers:
            if offer.distribution is not None:
                raise PluginError(
                    f"{component.title} is offered by {offer.origin} already. Choose another name."
                )
        self._offers[component.kind, component.name] = [component]
        return component

    def _nobody_offers(self, kind: str, name: str) -> str:
        elsewhere = [other for other in KINDS if self._offers.get((other, name))]
        if elsewhere:
            hint = " ".join(_PLACE_OF_KIND[other].format(name=name) for other in elsewhere)
        elif name == "native":
            hint = "native is the head that a backbone brings: 'timm/resnet50 + native'."
        else:
            hint = near_misses(name, (offer.name for offer in self.components(kind)))
        message = f"No plug-in offers {kind}/{name}. {hint}"
        out = [
            f"{plugin.entry.name} ({plugin.state})"
            for plugin in self.plugins
            if plugin.state != "loaded"
        ]
        return message + (f" Left out: {', '.join(out)}; see `zoo plugins`." if out else "")


def _names(disable: str | Collection[str]) -> frozenset[str]:
    return frozenset({disable} if isinstance(disable, str) else disable)


def _name_space(name: str) -> str:
    return f"{name.partition('/')[0]}/*" if "/" in name else name


def _load(entry: EntryPoint, disable: Collection[str]) -> Plugin:
    """Import one plug-in and collect what its hooks offer; a failure ends here."""
    plugin = Plugin(entry)
    if entry.name in disable or entry.distribution in disable:
        plugin.state = "disabled"
        return plugin
    try:
        _collect(entry, plugin)
    except (Exception, SystemExit) as error:
        plugin.state = "broken"
        plugin.problem = f"{type(error).__name__}: {error}"
        warnings.warn(
            f"Plug-in {entry.name!r} of {entry.distribution} {entry.version} is left out: {plugin.problem}",
            PluginWarning,
            stacklevel=4,
        )
    return plugin


def _collect(entry: EntryPoint, plugin: Plugin) -> None:
    """Fill in what a plug-in offers, all of it or nothing."""
    # A manager of its own for each plug-in: one call reaches one plug-in, and its failure is its own.
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hookspecs)
    module, _, attribute = entry.module.partition(":")
    hooks: Any = importlib.import_module(module)
    manager.register(getattr(hooks, attribute) if attribute else hooks, name=entry.name)
    manager.check_pending()
    components = []
    for kind, hook in _HOOK_OF_KIND.items():
        for offer in _flat(getattr(manager.hook, hook)(), hook):
            if not isinstance(offer, Component):
                raise PluginError(f"{hook} returned {offer!r:.80}, which is no zoo.Component.")
            components.append(offer.brought_by(entry.distribution, entry.version, kind=kind))
    transports = _flat(manager.hook.zoo_transports(), "zoo_transports")
    for transport in transports:
        if not isinstance(transport, Transport):
            raise PluginError(
                f"zoo_transports returned {transport!r:.80}, which is no zoo.Transport."
            )
        transport.distribution = entry.distribution
    registries = _flat(manager.hook.zoo_registries(), "zoo_registries")
    plugin.registries = [os.fspath(folder) for folder in registries]
    plugin.components, plugin.transports = components, transports


def _flat(results: Sequence[Any], hook: str) -> list[Any]:
    for result in results:
        if not isinstance(result, list | tuple):
            raise PluginError(f"{hook} returned {result!r:.80}; it returns a list.")
    return [item for result in results for item in result]


_lock = RLock()
_default: Catalog | None = None
_disabled: frozenset[str] = frozenset()
_is_looking = False


def catalog() -> Catalog:
    """The catalog of this process, made at first use.

    Raises:
        PluginError: A plug-in asks for it while it is imported for it.
    """
    global _default  # noqa: PLW0603 - the one process-wide object, made late so that import stays light
    with _lock:
        if _default is None:
            _default = _find_plugins(_disabled)
        return _default


def _find_plugins(disabled: frozenset[str]) -> Catalog:
    global _is_looking  # noqa: PLW0603 - what is imported for one catalog must not begin another
    if _is_looking:
        raise PluginError(
            "A plug-in asked for what plug-ins offer, or offered something by a decorator, while it was imported. It "
            "offers components by its hooks."
        )
    names = os.environ.get("ZOO_DISABLE_PLUGINS", "").split(",")
    _is_looking = True
    try:
        return Catalog(disable=disabled | {name.strip() for name in names if name.strip()})
    finally:
        _is_looking = False


def configure(*, disable: str | Collection[str] = ()) -> None:
    """Choose which plug-ins to leave out, by name or distribution, one or several. They are then looked for afresh.

    Components registered in this process are kept.

    Raises:
        UnknownName: No plug-in of that name is installed; nothing is changed.
        PluginError: One of them has the name of a plug-in's that would be there again; nothing is changed.
    """
    global _default, _disabled
    disabled = _names(disable)
    with _lock:
        own = [c for c in _default.components() if c.distribution is None] if _default else []
        fresh = _find_plugins(disabled)
        entries = [plugin.entry for plugin in fresh.plugins]
        known = {name for entry in entries for name in (entry.name, entry.distribution)}
        for name in sorted(disabled - known):
            raise UnknownName(f"No plug-in {name!r} is installed. {near_misses(name, known)}")
        for component in own:
            fresh.register(component)
        _default, _disabled = fresh, disabled


def register(component: Component) -> Component:
    """Offer a component in this process, as a plug-in would; see `Catalog.register`."""
    return catalog().register(component)


def attention(name: str, *, family: str, **fields: Any) -> Callable[[Class], Class]:
    """Offer the decorated class as an attention in this process. `fields` as in `Component`."""
    return _decorator("attention", name, family=family, **fields)


def backbone(name: str, **fields: Any) -> Callable[[Class], Class]:
    """Offer the decorated class as a backbone in this process. `fields` as in `Component`."""
    return _decorator("backbone", name, **fields)


def head(name: str, **fields: Any) -> Callable[[Class], Class]:
    """Offer the decorated class as a pooling head in this process. `fields` as in `Component`."""
    return _decorator("head", name, **fields)


def _decorator(kind: str, name: str, **fields: Any) -> Callable[[Class], Class]:
    def offer(cls: Class) -> Class:
        summary = (cls.__doc__ or "").partition("\n")[0]
        register(Component(kind=kind, name=name, target=cls, **{"summary": summary, **fields}))
        return cls

    return offer

"""zoo: any backbone x any attention x any pooling head, as one named, versioned, verifiable file.

The public names, each imported from its module on first use, so that `import zoo` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.api import compose as compose
    from zoo.api import create as create
    from zoo.api import describe as describe
    from zoo.api import list_components as list_components
    from zoo.api import load as load
    from zoo.api import predict as predict
    from zoo.api import publish as publish
    from zoo.api import save as save
    from zoo.api import yank as yank
    from zoo.component import Component as Component
    from zoo.composition.costs import cost as cost
    from zoo.composition.finetuning import freeze as freeze
    from zoo.composition.finetuning import parameter_groups as parameter_groups
    from zoo.composition.introspection import AttentionMap as AttentionMap
    from zoo.composition.introspection import attention_maps as attention_maps
    from zoo.composition.model import Model as Model
    from zoo.composition.slots import Slot as Slot
    from zoo.downloads import download as download
    from zoo.downloads import lock as lock
    from zoo.downloads import sync as sync
    from zoo.downloads import verify as verify
    from zoo.errors import AlreadyThere as AlreadyThere
    from zoo.errors import DigestMismatch as DigestMismatch
    from zoo.errors import FetchError as FetchError
    from zoo.errors import InvalidRef as InvalidRef
    from zoo.errors import InvalidSpec as InvalidSpec
    from zoo.errors import InvalidValue as InvalidValue
    from zoo.errors import MissingExtra as MissingExtra
    from zoo.errors import NotFound as NotFound
    from zoo.errors import Offline as Offline
    from zoo.errors import PluginError as PluginError
    from zoo.errors import RegistryError as RegistryError
    from zoo.errors import Unavailable as Unavailable
    from zoo.errors import UnknownName as UnknownName
    from zoo.errors import WeightsError as WeightsError
    from zoo.errors import ZooError as ZooError
    from zoo.hookspecs import hookimpl as hookimpl
    from zoo.listing import list_variants as list_variants
    from zoo.plugins import Catalog as Catalog
    from zoo.plugins import attention as attention
    from zoo.plugins import backbone as backbone
    from zoo.plugins import configure as configure
    from zoo.plugins import head as head
    from zoo.plugins import register as register
    from zoo.refs import ExactRef as ExactRef
    from zoo.registry import Registry as Registry
    from zoo.registry.managing import add_registry as add_registry
    from zoo.registry.managing import refresh as refresh
    from zoo.registry.managing import registries as registries
    from zoo.registry.managing import remove_registry as remove_registry
    from zoo.spec import Spec as Spec
    from zoo.store import offline as offline
    from zoo.transports import Body as Body
    from zoo.transports import Transport as Transport

_PUBLIC = {
    "zoo.api": (
        "compose",
        "create",
        "describe",
        "list_components",
        "load",
        "predict",
        "publish",
        "save",
        "yank",
    ),
    "zoo.component": ("Component",),
    "zoo.composition.costs": ("cost",),
    "zoo.composition.finetuning": ("freeze", "parameter_groups"),
    "zoo.composition.introspection": ("AttentionMap", "attention_maps"),
    "zoo.composition.model": ("Model",),
    "zoo.composition.slots": ("Slot",),
    "zoo.downloads": ("download", "lock", "sync", "verify"),
    "zoo.errors": (
        "AlreadyThere",
        "DigestMismatch",
        "FetchError",
        "InvalidRef",
        "InvalidSpec",
        "InvalidValue",
        "MissingExtra",
        "NotFound",
        "Offline",
        "PluginError",
        "RegistryError",
        "Unavailable",
        "UnknownName",
        "WeightsError",
        "ZooError",
    ),
    "zoo.hookspecs": ("hookimpl",),
    "zoo.listing": ("list_variants",),
    "zoo.plugins": ("Catalog", "attention", "backbone", "configure", "head", "register"),
    "zoo.refs": ("ExactRef",),
    "zoo.registry": ("Registry",),
    "zoo.registry.managing": ("add_registry", "refresh", "registries", "remove_registry"),
    "zoo.spec": ("Spec",),
    "zoo.store": ("offline",),
    "zoo.transports": ("Body", "Transport"),
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605 - computed from the one table above
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

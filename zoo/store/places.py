"""From the address of a registry to its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.plugins import catalog
from zoo.store.folder import FolderPlace

if TYPE_CHECKING:
    from zoo.plugins import Catalog
    from zoo.transports import Place


def open_place(base: str, *, registry: str | None = None, offers: Catalog | None = None) -> Place:
    """Return the place of an address: a path, or `scheme://...`. Opens no connection.

    Args:
        base: The address.
        registry: What the configuration calls the registry; its credentials go by that name.
        offers: The plug-ins whose transports are known besides the built-in ones; by default those of this process.

    Raises:
        UnknownName: No transport reaches such addresses.
        PluginError: Several do, or one that cannot be loaded.
        InvalidValue: The address is of the wrong form.
    """
    scheme, separator, _ = base.partition("://")
    if not separator:
        return FolderPlace(base)
    transport = (offers or catalog()).transport(scheme)
    place_class = transport.load()
    place: Place = (
        place_class(base, registry=registry) if scheme in ("https", "http") else place_class(base)
    )
    return place

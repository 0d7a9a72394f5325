"""The registries that are looked in when none are named."""

from __future__ import annotations

import warnings
from pathlib import Path

from zoo.errors import RegistryError
from zoo.plugins import PluginWarning, catalog
from zoo.registry import Registry


def default_registries() -> list[Registry]:
    """The built-in registry, then those that plug-ins bring. A broken one of a plug-in is reported and left out."""
    found = [Registry(builtin_folder(), name="zoo")]
    for folder in catalog().registries:
        try:
            found.append(Registry(folder))
        except RegistryError as error:
            warnings.warn(f"A plug-in's registry is left out: {error}", PluginWarning, stacklevel=2)
    return found


def builtin_folder() -> Path:
    """The folder of the registry that comes with zoo: inside the package, or beside it in a checkout.

    Raises:
        RegistryError: It is in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package, package.parent):
        if (folder / "registry.yaml").is_file():
            return folder
    raise RegistryError(f"The built-in registry is missing beside {package}; reinstall attn-zoo.")

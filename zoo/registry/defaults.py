"""The registries that are looked in when none are named."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import InvalidValue, RegistryError, ZooError
from zoo.plugins import PluginWarning, catalog
from zoo.registry import Registry
from zoo.registry.configured import BUILT_IN, read_configured


def default_registries() -> list[Registry]:
    """The built-in registry, those that the user added, then those that plug-ins bring.

    A broken one of a plug-in is reported and left out. A broken one of the user's is in the list: only who looks into it
    fails.

    Raises:
        RegistryError: The built-in registry is missing, or the list of the user's cannot be read.
    """
    builtin = Registry(builtin_folder(), name=BUILT_IN, installed=True)
    builtin.known_index()  # if this one is broken, so is the installation
    found = [builtin]
    found += [Registry(one.base, name=one.name) for one in read_configured()]
    for base in catalog().registries:
        try:
            found.append(Registry(base, installed=True))
        except ZooError as error:
            warnings.warn(f"A plug-in's registry is left out: {error}", PluginWarning, stacklevel=2)
    return found


def chosen_registries(given: Sequence[Registry] | None) -> Sequence[Registry]:
    """The registries that a caller gave to look in; by default those that are looked in when none are named.

    Raises:
        InvalidValue: What was given is no list of registries.
        RegistryError: As in `default_registries`.
    """
    if given is None:
        return default_registries()
    several = isinstance(given, Sequence) and not isinstance(given, str)
    wrong = [one for one in given if not isinstance(one, Registry)] if several else [given]
    if wrong:
        base = wrong[0] if isinstance(wrong[0], str | os.PathLike) else "./our-zoo"
        raise InvalidValue(
            f"registries is {given!r:.80}; give a list of opened ones: registries=[zoo.Registry({os.fspath(base)!r:.80})]"
        )
    return given


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

"""The registries of a user: which there are, adding, removing, and fetching their indices anew."""

from __future__ import annotations

import os

from zoo.component import KINDS
from zoo.errors import InvalidValue, Offline, RegistryError, UnknownName, ZooError, near_misses
from zoo.plugins import catalog
from zoo.registry import Registry, normal_base
from zoo.registry.configured import change_configured, read_configured, with_added, without
from zoo.registry.defaults import default_registries
from zoo.registry.remote import RemoteIndex
from zoo.registry.resolving import named, names_of
from zoo.store import cache_folder


def registries() -> list[Registry]:
    """The registries that are looked in, in order: the built-in one, those that were added, those of plug-ins."""
    return default_registries()


def add_registry(name: str, base: str | os.PathLike[str]) -> Registry:
    """Add a registry behind those that were added before. Its index is fetched first, so that it is known to work.

    Args:
        name: What refs call it: `name/variant`.
        base: A folder, as a path or a `file://` address; or an address such as `https://models.example.org/zoo`.

    Returns:
        The registry.

    Raises:
        InvalidValue: The name or base is none, or the name is taken.
        UnknownName: No transport reaches such addresses.
        FetchError: The registry cannot be reached.
        RegistryError: There is none, or it breaks a rule.
    """
    base = normal_base(os.fspath(base))
    spaces = {c.name.partition("/")[0] for c in catalog().components("backbone") if "/" in c.name}
    if name in {*KINDS, *spaces}:
        raise InvalidValue(f"{name!r} is a word of zoo's own; choose another name.")
    with_added(read_configured(), name, base)  # refused before anything is fetched
    registry = Registry(base, name=name)
    registry.refresh()
    change_configured(lambda there: with_added(there, name, base))
    return registry


def base_to_change(where: str) -> str:
    """Where a registry lies that is to be changed: a word that is the name of a known one means that.

    Args:
        where: The name, path or address of a registry.

    Raises:
        InvalidValue: The name is that of a registry that came with a package; or a folder here holds another one.
        UnknownName: No registry is there as yet, and the word is one letter from the name of a known one.
    """
    if "/" in where or where.startswith((".", "~")):
        return where
    from zoo.registry import INDEX
    from zoo.registry.publishing import mistakable

    known, is_here = default_registries(), os.path.isfile(os.path.join(where, INDEX))
    found = named(where, known)
    if found is None:
        changed = names_of(one for one in known if not one.installed)
        if not is_here and (near := mistakable(where, changed)):
            raise UnknownName(
                f"There is no registry {where!r}. Did you mean {near!r}? For a new one in a folder, write ./{where}."
            )
        return where
    if found.installed:
        raise InvalidValue(
            f"{where!r} is the registry that came with a package, which is not changed. For a folder, write ./{where}."
        )
    if is_here and normal_base(where) != found.base:
        raise InvalidValue(
            f"{where!r} is the registry at {found.base}, and the folder {where} holds another one. Write "
            f"{found.base} or ./{where}."
        )
    return found.base


def remove_registry(name: str) -> None:
    """Remove a registry that was added, and forget what was seen of it. Cached weights stay.

    Raises:
        UnknownName: No registry of that name was added.
    """
    without(read_configured(), name)  # refused before anything is made
    before, after = change_configured(lambda there: without(there, name))
    base = next(one.base for one in before if one.name == name)
    if base not in {one.base for one in after}:
        RemoteIndex(base, cache_folder()).forget()


def refresh(name: str | None = None, *, accept_rollback: bool = False) -> list[Registry]:
    """Fetch the index of a registry anew, or of all, whatever its age.

    Args:
        name: The registry; None means all.
        accept_rollback: Take an index that is older than one that was seen before, or of another registry.

    Returns:
        The registries that were fetched.

    Raises:
        UnknownName: There is no such registry.
        FetchError: It cannot be reached. The index that was cached stays.
        RegistryError: It is older than what was seen before, or breaks a rule; of several, the message names each.
    """
    found = default_registries()
    if name is not None:
        one = named(name, found)
        if one is None:
            raise UnknownName(
                f"There is no registry {name!r}. {near_misses(name, names_of(found))}"
            )
        one.refresh(accept_rollback=accept_rollback)
        return [one]
    problems: list[ZooError] = []
    not_asked = []
    for registry in found:
        try:
            registry.refresh(accept_rollback=accept_rollback)
        except Offline as error:
            not_asked.append((registry.configured_name or registry.base, error))
        except ZooError as error:
            problems.append(error)
    if len(not_asked) > 1:
        names = ", ".join(name for name, _ in not_asked)
        problems.append(
            Offline(
                f"The indices of {names} are not fetched: ZOO_OFFLINE forbids the network. Unset it first."
            )
        )
    else:
        problems += [error for _, error in not_asked]
    if len(problems) > 1:
        raise RegistryError(" ".join(map(str, problems)))
    if problems:
        raise problems[0]
    return found

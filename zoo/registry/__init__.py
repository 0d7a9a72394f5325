"""Registries: folders that hold variants, their versions and their weights, here or elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import InvalidValue, RegistryError
from zoo.refs import ExactRef, VersionNumber
from zoo.registry.index import Index, open_index
from zoo.store import blob_path, cache_folder

if TYPE_CHECKING:
    from zoo.registry.remote import RemoteIndex
    from zoo.spec import Version
    from zoo.transports import Place

INDEX = "registry.yaml"


class Registry:
    """A registry: `registry.yaml` and the blobs that it names, under one folder or address.

    Its index is opened when it is first needed; that of a folder without a name at once.

    Args:
        base: A folder, as a path or a `file://` address; or an address that a transport reaches, e.g. `https://...`.
        name: What refs call it (`name/variant`); by default its id with underscores for dashes.
        cache: Folder of the cache; by default the user's.
        installed: The folder came with a package, which may be downgraded: an older index is taken, too.

    Raises:
        InvalidValue: `base` is no folder and no address.
        RegistryError: Here or when the index is needed: there is no registry, or it breaks a rule.
        FetchError: When the index is needed: it cannot be reached, and nothing of it is cached.

    Attributes:
        base: Where it lies: an absolute path, or an address.
        root: Its folder, if that is one of this machine.
        configured_name: The name that was given.
        installed: As given, of a folder; what lies elsewhere came with no package.
    """

    def __init__(
        self,
        base: str | os.PathLike[str],
        *,
        name: str | None = None,
        cache: Path | None = None,
        installed: bool = False,
    ) -> None:
        self.base = normal_base(os.fspath(base))
        self.root = Path(self.base) if "://" not in self.base else None
        self._cache = cache or cache_folder()
        self.installed = installed and self.root is not None
        self._index: Index | None = None
        self._of: tuple[int, ...] | None = None
        self._remote: RemoteIndex | None = None
        self.configured_name = name
        if name is None and self.root is not None:
            self._folder_index()

    @property
    def name(self) -> str:
        """What refs call it."""
        return self.configured_name or self.id.replace("-", "_")

    @property
    def id(self) -> str:
        """The name that the registry gives itself."""
        return self.known_index().id

    @property
    def serial(self) -> int:
        """How often it was published to, as far as is known here."""
        return self.known_index().serial

    @property
    def index(self) -> Index:
        """What the registry holds. Of one that lies elsewhere the cached index, fetched anew once it is a day old."""
        if self.root is not None:
            return self._folder_index()
        return self._remote_index().current()

    def fresh_index(self, max_age: float) -> Index:
        """As `index`, but fetched anew once it is older than `max_age` seconds."""
        if self.root is not None:
            return self._folder_index()
        return self._remote_index().current(max_age)

    def known_index(self) -> Index:
        """What the registry holds, from what is on this machine already, however old; fetched if nothing is."""
        if self.root is not None:
            return self._folder_index()
        return self._remote_index().cached() or self._remote_index().current()

    def cached_index(self) -> Index | None:
        """What the registry holds, without the network; None if nothing of it was ever fetched."""
        return self._folder_index() if self.root is not None else self._remote_index().cached()

    def index_age(self) -> float | None:
        """Seconds since the index was fetched; infinite if the clock contradicts, None if it never was or need not be."""
        return None if self.root is not None else self._remote_index().age()

    def refresh(self, *, accept_rollback: bool = False) -> None:
        """Read the index anew, whatever its age.

        Args:
            accept_rollback: Take an index that is older than one that was seen before.

        Raises:
            FetchError: It cannot be had.
            RegistryError: It is older than what was seen before, or breaks a rule.
        """
        if self.root is None:
            self._remote_index().fetch(accept_rollback=accept_rollback)
        else:
            there = self._identity()
            self._index, self._of = self._open_folder(accept_rollback=accept_rollback), there

    def blob(self, sha256: str) -> Path | None:
        """Where the blob with that digest is, or would be, on this machine; None for a registry elsewhere."""
        return None if self.root is None else blob_path(self.root, sha256)

    @property
    def place(self) -> Place:
        """What reads the registry's files where they lie."""
        from zoo.store.places import open_place

        return open_place(self.base, registry=self.configured_name)

    def version(self, name: str, number: VersionNumber) -> Version:
        """Return one version, whole. It must be one of those that the index lists."""
        from zoo.spec import Spec, Version, Weights

        index = self.known_index()
        data = index.data(name, number)
        weights = Weights(**data["weights"]) if data.get("weights") else None
        summary = next(one.summary for one in index.listings(name) if one.number == number)
        return Version(
            ref=ExactRef(self.id, name, number, weights.sha256 if weights else None),
            summary=summary,
            spec=Spec.from_data(data["spec"], where=f"{name}@{number}: spec"),
            weights=weights,
            params=data.get("params"),
            metrics=data.get("metrics", {}),
            recipe=data.get("recipe", {}),
            requires=data.get("requires", {}),
            license=data.get("license", ""),
            provenance=data.get("provenance", {}),
            yanked=data.get("status", {}).get("yanked"),
        )

    def _folder_index(self) -> Index:
        there = self._identity()
        if self._index is None or there not in (None, self._of):  # somebody published meanwhile
            self._index, self._of = self._open_folder(accept_rollback=False), there
        return self._index

    def _identity(self) -> tuple[int, ...] | None:
        """What changes with the index of a folder; None where there is none to be seen."""
        try:
            found = os.stat(Path(self.base) / INDEX)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _open_folder(self, *, accept_rollback: bool) -> Index:
        from zoo.registry.seen import Seen

        file = Path(self.base) / INDEX
        if not file.is_file():
            raise RegistryError(f"{self.base} holds no {INDEX}, so it is no registry.")
        index = open_index(file, self._cache / "index")
        if not self.installed:
            Seen(self._cache).admit_index(
                self.base, index.id, index.serial, accept_rollback=accept_rollback
            )
        return index

    def _remote_index(self) -> RemoteIndex:
        if self._remote is None:
            from zoo.registry.remote import RemoteIndex

            self._remote = RemoteIndex(self.base, self._cache, name=self.configured_name)
        return self._remote


def normal_base(base: str) -> str:
    """Where a registry lies, in the one form that is stored: an absolute path, or an address.

    Raises:
        InvalidValue: It is neither, or carries a password or a query.
    """
    scheme, mark, rest = base.partition("://")
    if not mark:
        return os.path.abspath(os.path.expanduser(base))
    scheme = scheme.lower()
    if scheme == "file":
        from zoo.store.folder import folder_of

        return str(folder_of(base).absolute())
    user, at, host = rest.partition("/")[0].rpartition("@")
    web = scheme in ("https", "http")
    if " " in base or not base.isprintable():
        wrong = "spaces or signs that do not print"
    elif at and (web or ":" in user):
        wrong = "a user or password; give a token by ZOO_TOKEN_<NAME>, netrc or keyring"
    elif web and ("?" in rest or "#" in rest):
        wrong = "a query or fragment"
    elif not rest.strip("/"):
        wrong = "no host"
    else:
        return f"{scheme}://{rest.rstrip('/')}"
    # What else stands in it may be a secret.
    host = host.partition("?")[0].partition("#")[0]
    raise InvalidValue(
        f"The address at {f'{scheme}://{host}'!r:.120} cannot be the base of a registry: it has {wrong}."
    )

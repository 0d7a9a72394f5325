"""Registries: folders that hold variants, their versions and their weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import RegistryError
from zoo.refs import ExactRef, VersionNumber
from zoo.registry.index import Index, open_index
from zoo.store import blob_path, cache_folder

if TYPE_CHECKING:
    from zoo.spec import Version


class Registry:
    """A registry: `registry.yaml` and the blobs that it names, in one folder.

    Args:
        base: The folder, as a path or a `file://` address.
        name: What refs call it (`name/variant`); by default its id with underscores for dashes.
        cache: Where compiled indices are kept; by default in the user's cache.

    Raises:
        RegistryError: There is no registry, or it breaks a rule.
    """

    def __init__(
        self, base: str | Path, *, name: str | None = None, cache: Path | None = None
    ) -> None:
        self.root = _folder(base)
        if not (self.root / "registry.yaml").is_file():
            raise RegistryError(f"{self.root} holds no registry.yaml, so it is no registry.")
        self.index: Index = open_index(
            self.root / "registry.yaml", (cache or cache_folder()) / "index"
        )
        self.name = name or self.id.replace("-", "_")

    @property
    def id(self) -> str:
        """The name that the registry gives itself."""
        return self.index.id

    @property
    def serial(self) -> int:
        """How often it was published to."""
        return self.index.serial

    def blob(self, sha256: str) -> Path:
        """Where the blob with that digest is, or would be."""
        return blob_path(self.root, sha256)

    def version(self, name: str, number: VersionNumber) -> Version:
        """Return one version, whole. It must be one of those that the index lists."""
        from zoo.spec import Spec, Version, Weights

        data = self.index.data(name, number)
        weights = Weights(**data["weights"]) if data.get("weights") else None
        summary = next(one.summary for one in self.index.listings(name) if one.number == number)
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


def _folder(base: str | Path) -> Path:
    text = str(base)
    if "://" not in text:
        return Path(text).expanduser()
    from urllib.parse import unquote, urlsplit

    address = urlsplit(text)
    if address.scheme != "file" or address.netloc not in ("", "localhost"):
        raise RegistryError(f"{text}: a registry is a folder here, as a path or file:///folder.")
    return Path(unquote(address.path))

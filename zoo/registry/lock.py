"""The lock file: which bytes each name stands for, so that the same code gives the same models years later.

schema: 1
versions:
  - {name: "our_cnn", version: "1.0.0", sha256: "<64 hex>", size: 1234567, registry: "our-zoo"}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import RegistryError, UnknownName, near_misses
from zoo.refs import Ref, VersionNumber, check_name
from zoo.registry.reader import read_yaml
from zoo.store import is_digest

SCHEMA = 1
_TITLE = "# Written by `zoo lock`. Obeyed by `zoo sync` and by zoo.create(..., lock=...).\n"


class Locked(NamedTuple):
    """A version with the bytes of its weights.

    Attributes:
        name: Name of the variant.
        version: The version's complete number, as text.
        sha256: Digest of its weights.
        size: Their size in bytes.
        registry: Id of the registry.
    """

    name: str
    version: str
    sha256: str
    size: int
    registry: str

    @property
    def number(self) -> VersionNumber:
        """The version's complete number."""
        return VersionNumber.parse(self.version)


def lock_text(versions: Iterable[Locked]) -> str:
    """The content of a lock file; the order of the versions plays no part."""
    rows = [
        ", ".join(f"{field}: {json.dumps(value)}" for field, value in one._asdict().items())
        for one in sorted(set(versions))
    ]
    return f"{_TITLE}schema: {SCHEMA}\nversions:\n" + "".join(f"  - {{{row}}}\n" for row in rows)


def read_lock(path: Path) -> list[Locked]:
    """Read a lock file.

    Raises:
        RegistryError: It cannot be read, or is none.
    """
    data, lines = read_yaml(path)
    fields = data if isinstance(data, dict) else {}
    if type(fields.get("schema")) is int and fields["schema"] > SCHEMA:
        raise RegistryError(
            f"{path}: schema {fields['schema']}; this version reads up to {SCHEMA}. Upgrade attn-zoo."
        )
    versions = fields.get("versions") or []
    known = set(fields) == {"schema", "versions"} and fields["schema"] == SCHEMA
    if not known or not isinstance(versions, list):
        raise RegistryError(f"{path} is no lock file; `zoo lock REF ... > zoo.lock` writes one.")
    found = []
    for at, entry in enumerate(versions):
        try:
            found.append(_locked(entry))
        except (TypeError, ValueError) as error:
            line = lines.at(("versions", at))
            raise RegistryError(f"{path}:{line}: {error}. Write it anew with `zoo lock`.") from None
    return found


def locked_versions(ref: Ref, versions: Iterable[Locked], source: str) -> list[Locked]:
    """The versions that a lock file holds for a ref; several where registries share a name.

    Raises:
        UnknownName: It holds none.
    """
    known = list(versions)
    named = [one for one in known if one.name == ref.name]
    if not named:
        raise UnknownName(
            f"{source} does not hold {ref.name!r}. {near_misses(ref.name, (one.name for one in known))}"
        )
    fitting = [
        one for one in named if (one.sha256 == ref.digest if ref.digest else ref.allows(one.number))
    ]
    if not fitting:
        have = ", ".join(f"{one.name}@{one.version}" for one in named)
        raise UnknownName(f"{source} holds {have}, which is not {ref}. Lock anew, or ask for that.")
    return fitting


def _locked(entry: Any) -> Locked:
    if not isinstance(entry, dict) or set(entry) != set(Locked._fields):
        raise ValueError(f"{entry!r:.80} has not the fields {', '.join(Locked._fields)}")
    one = Locked(**entry)
    texts = (one.name, one.version, one.sha256, one.registry)
    if not all(isinstance(text, str) for text in texts) or type(one.size) is not int:
        raise TypeError(f"{entry!r:.200} has a value of the wrong type")
    check_name(one.name)
    check_name(one.registry.replace("-", "_"))
    if not is_digest(one.sha256) or not 0 <= one.size < 2**63:
        raise ValueError(f"{entry!r:.200} has no digest of 64 hex digits, or no size")
    VersionNumber.parse(one.version)
    return one

"""Publishing: a file becomes a version of a variant, whole or not at all.

    check the name and the place -> load the file in a fresh process -> write the blob -> write the index

The blob is made only where there is none, and the index is written last and only in place of the one that was
read: whatever happens in between leaves at most a blob that nothing refers to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import AlreadyThere, InvalidValue, RegistryError, WeightsError
from zoo.files import read_whole
from zoo.refs import ExactRef, VersionNumber, check_name
from zoo.registry import INDEX, normal_base
from zoo.registry.editing import change_index, open_registry, read_draft
from zoo.registry.examination import examine_afresh
from zoo.registry.interface import check_interface
from zoo.registry.metrics import check_metrics
from zoo.registry.requirements import satisfies
from zoo.registry.staging import check_target, check_writable, target_of
from zoo.store import blob_name
from zoo.store.patience import PATIENCE, patiently

if TYPE_CHECKING:
    from zoo.transports import Place, WritablePlace

BEST = "best.safetensors"


def publish(
    path: Path,
    base: str,
    *,
    name: str,
    version: str,
    summary: str = "",
    license_name: str = "",
    metrics: Mapping[str, Any] | None = None,
    allow_similar_name: bool = False,
    stage: Path | None = None,
) -> ExactRef:
    """Publish a weights file, or the best one of a run's folder; see `zoo.publish`."""
    check_name(name)
    number = VersionNumber.parse(version)
    check_metrics(metrics)
    file = _weights_file(path)
    base = normal_base(base)
    place = open_registry(base)
    check_target(place, base, stage)
    draft = read_draft(place, base)
    _check_new(draft.data, name, version, base, allow_similar_name=allow_similar_name)
    content = bytes(read_whole(file))
    sha256 = hashlib.sha256(content).hexdigest()
    # Before the examination, which takes long.
    check_writable(place, stage, (blob_name(sha256), INDEX))
    entry = _entry(file, content, sha256)
    if license_name:
        entry["license"] = license_name
    if metrics:
        entry["metrics"] = {**entry.get("metrics", {}), **metrics}
    check_interface(draft.data, name, number, entry, base)

    def add(data: dict[str, Any]) -> None:
        _check_new(data, name, version, base, allow_similar_name=allow_similar_name)
        check_interface(data, name, number, entry, base)
        variant = data["variants"].setdefault(name, {"summary": "", "versions": {}})
        variant["summary"] = summary or variant.get("summary", "")
        variant["versions"][version] = entry

    target = target_of(place, base, stage, draft)
    write_blob(target, sha256, content, base)
    data = change_index(target, base, add)
    return ExactRef(data["id"], name, number, sha256)


def write_blob(place: WritablePlace, sha256: str, content: bytes, base: str) -> None:
    """Write a blob where there is none; one that is there already must be the same.

    Raises:
        RegistryError: It is there, and is damaged.
        FetchError: It cannot be written.
    """
    name = blob_name(sha256)
    try:
        patiently(lambda: place.create(name, content), PATIENCE)
    except AlreadyThere:
        found = patiently(lambda: _digest(place, name), PATIENCE)
        if found != sha256:
            raise RegistryError(
                f"{base}/{name} is there already and is damaged: its bytes have sha256 {found}. "
                "Delete it, and publish again."
            ) from None


def _digest(place: Place, name: str) -> str:
    digest = hashlib.sha256()
    for piece in place.open(name).chunks:
        digest.update(piece)
    return digest.hexdigest()


def _weights_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    if not (path / BEST).is_file():
        raise InvalidValue(
            f"{path} is a folder without {BEST}; give the folder of a run (`zoo train`), or a file."
        )
    return path / BEST


def _check_new(
    data: dict[str, Any], name: str, version: str, base: str, *, allow_similar_name: bool
) -> None:
    variants = data["variants"]
    if name in variants:
        if version in variants[name]["versions"]:
            raise RegistryError(
                f"{name}@{version} is in {base} already, and a version never changes. Publish the next one."
            )
    elif not allow_similar_name and (near := mistakable(name, variants)):
        raise RegistryError(
            f"{name!r} is one letter from {near!r}, which is in {base} already: whoever slips gets the other "
            "model. Choose another name, or say that it is meant (--allow-similar-name)."
        )


def mistakable(name: str, others: Iterable[str]) -> str | None:
    """One of the other names that a single slip makes of `name`: a letter more, less, another, or two exchanged."""
    return next((other for other in others if _one_slip(*sorted((name, other), key=len))), None)


def _one_slip(short: str, long: str) -> bool:
    if len(long) - len(short) > 1:
        return False
    same = next(
        (at for at, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short)
    )
    if len(short) < len(long):
        return short[same:] == long[same + 1 :]
    exchanged = long[same + 1 : same + 2] + long[same : same + 1] + long[same + 2 :]
    return short[same + 1 :] == long[same + 1 :] or short[same:] == exchanged


def _entry(path: Path, content: bytes, sha256: str) -> dict[str, Any]:
    """What the registry says of a file, after a fresh process has loaded it."""
    from zoo.weights import parse

    metadata = parse(content, str(path)).metadata
    check_metrics(metadata.get("metrics"))
    examined = examine_afresh(path)
    if examined["sha256"] != sha256:
        raise WeightsError(f"{path} was changed while it was examined. Publish it once it is done.")
    entry = {
        "spec": examined["spec"],
        "requires": _requires(path, metadata, examined["version"]),
        "weights": {"sha256": sha256, "size": len(content)},
        "interface": examined["interface"],
        "params": examined["params"],
    }
    for field in ("metrics", "recipe", "provenance"):
        if metadata.get(field):
            entry[field] = metadata[field]
    return entry


def _requires(path: Path, metadata: dict[str, Any], version: str) -> dict[str, str]:
    """The distributions that a file's components came with, from their releases of that day on."""
    components = metadata.get("components", {})
    origins: list[Any] = list(components.values()) if isinstance(components, dict) else [None]
    if not all(isinstance(origin, list) and len(origin) == 2 for origin in origins):
        raise WeightsError(f"{path} does not say where its components came from; save it anew.")
    needs = {"attn-zoo": version} | {name: release for name, release in origins if name}
    return {str(name): _from_on(str(release)) for name, release in sorted(needs.items())}


def _from_on(release: str) -> str:
    """The releases of a distribution from this minor one on; or from this very one, where it comes before that."""
    minor = f">={'.'.join(release.split('.')[:2])}"
    return minor if satisfies(release, minor) else f">={release.partition('+')[0]}"

"""Publishing: a file becomes a version of a variant in a registry's folder, whole or not at all.

The blob is written first and the index last, each in one rename: a crash in between leaves a blob that
nothing refers to.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import InvalidValue, RegistryError, WeightsError
from zoo.files import read_whole, write_atomically
from zoo.refs import ExactRef, VersionNumber, check_name
from zoo.registry.reader import parse_yaml
from zoo.registry.schema import SCHEMA, read_head, read_rows
from zoo.store import blob_path

# Loads the file as a stranger would, and says what the registry should say of it.
_EXAMINE = """
import json, sys, zoo
from zoo.weights import interface, not_finite
from zoo import __version__
try:
    model = zoo.load(sys.argv[1])
except zoo.ZooError as error:
    sys.exit(str(error))
bad = not_finite(model)
if bad:
    sys.exit(f"{sys.argv[1]}: the tensor {bad!r} holds NaN or infinity; train again, or from an earlier checkpoint.")
print(json.dumps({
    "spec": model.spec.to_data(),
    "interface": interface(model),
    "params": sum(parameter.numel() for parameter in model.parameters()),
    "version": __version__,
}))
"""


def publish(
    path: Path,
    root: Path,
    *,
    name: str,
    version: str,
    summary: str = "",
    license_name: str = "",
    metrics: Mapping[str, Any] | None = None,
) -> ExactRef:
    """Publish a weights file in the registry of folder `root`; see `zoo.publish`."""
    check_name(name)
    number = VersionNumber.parse(version)
    index = root / "registry.yaml"
    before = index.read_bytes() if index.exists() else None
    data = _registry_data(before, index)
    variant = data["variants"].setdefault(name, {"summary": "", "versions": {}})
    if version in variant["versions"]:
        raise RegistryError(
            f"{name}@{version} is in {root} already, and a version never changes. Publish the next one."
        )
    content = bytes(read_whole(path))
    entry = _entry(path, content)
    if license_name:
        entry["license"] = license_name
    if metrics:
        entry["metrics"] = {**entry.get("metrics", {}), **metrics}
    variant["summary"] = summary or variant.get("summary", "")
    variant["versions"][str(number)] = entry
    data["serial"] += 1
    text = _checked_yaml(data, index)
    sha256 = entry["weights"]["sha256"]
    _write_blob(blob_path(root, sha256), content)
    if (index.read_bytes() if index.exists() else None) != before:
        raise RegistryError(f"{index} was changed by somebody else meanwhile. Publish once more.")
    write_atomically(index, text)
    return ExactRef(data["id"], name, number, sha256)


def _registry_data(content: bytes | None, index: Path) -> dict[str, Any]:
    if content is None:
        _make_folder(index.parent)
        return {"schema": SCHEMA, "id": _id_from(index.parent), "serial": 0, "variants": {}}
    data, lines = parse_yaml(content, str(index))
    list(read_rows(read_head(data, str(index), lines), str(index), lines, []))
    registry: dict[str, Any] = data
    return registry


def _id_from(folder: Path) -> str:
    letters = "".join(
        c if c.isascii() and c.isalnum() else "-" for c in folder.resolve().name.lower()
    )
    words = [word for word in letters.split("-") if word]
    return "-".join(words) if words and words[0][0].isalpha() else "registry"


def _entry(path: Path, content: bytes) -> dict[str, Any]:
    """What the registry says of a file, after a fresh process has loaded it."""
    from zoo.weights import parse

    metadata = parse(content, str(path)).metadata
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", _EXAMINE, str(path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise WeightsError(
            f"Not published, because a fresh process cannot load the file: {reason[0]}"
        )
    examined = json.loads(done.stdout.splitlines()[-1])
    entry = {
        "spec": examined["spec"],
        "requires": _requires(metadata, examined["version"]),
        "weights": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)},
        "interface": examined["interface"],
        "params": examined["params"],
    }
    for field in ("metrics", "recipe", "provenance"):
        if metadata.get(field):
            entry[field] = metadata[field]
    return entry


def _requires(metadata: dict[str, Any], version: str) -> dict[str, str]:
    needs = {"attn-zoo": version}
    needs.update(
        {name: release for name, release in metadata.get("components", {}).values() if name}
    )
    return {
        name: f">={'.'.join(release.split('.')[:2])}" for name, release in sorted(needs.items())
    }


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidValue(f"{folder} cannot be made: {error.strerror or error}.") from None


def _write_blob(target: Path, content: bytes) -> None:
    if target.exists():  # named by its bytes: the same file
        return
    _make_folder(target.parent)
    write_atomically(target, content, mode=0o444)


def _checked_yaml(data: dict[str, Any], index: Path) -> bytes:
    """The registry as YAML that the strict reader reads back to the same data."""
    import yaml

    text: bytes = yaml.dump(
        data, Dumper=_dumper(), sort_keys=False, width=100, encoding="utf-8", allow_unicode=True
    )
    again, lines = parse_yaml(text, str(index))
    list(read_rows(read_head(again, str(index), lines), str(index), lines, []))
    if again != data:
        raise RegistryError(
            f"{index}: the entry cannot be written as YAML without a change; nothing was published."
        )
    return text


def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Short lists on one line, no aliases, texts quoted wherever JSON would read something else."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's hook
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        quoted = value in ("", "~", "<<") or _is_json(value)
        return dumper.represent_scalar(
            "tag:yaml.org,2002:str", value, style='"' if quoted else None
        )

    def sequence(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.SequenceNode:
        short = not any(isinstance(item, dict | list) for item in value)
        return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=short)

    Dumper.add_representer(str, text)
    Dumper.add_representer(list, sequence)
    return Dumper


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

"""What every test gets: a cache and plug-ins of its own, and one thread."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from zoo import Registry, plugins

torch.set_num_threads(1)
settings.register_profile("zoo", deadline=None)  # no timed tests: machines differ
settings.load_profile("zoo")

MakeRegistry = Callable[..., Registry]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this test, whose list of registries is empty, too."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ZOO_CACHE", str(folder))
    monkeypatch.setenv("ZOO_CONFIG", str(tmp_path / "registries.yaml"))
    for name in ("ZOO_CACHE_READ", "ZOO_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def own_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test register components that no other test sees."""
    monkeypatch.setattr(plugins, "_default", None)
    monkeypatch.setattr(plugins, "_disabled", frozenset())
    monkeypatch.delenv("ZOO_DISABLE_PLUGINS", raising=False)


@pytest.fixture
def make_registry(tmp_path: Path, cache: Path) -> MakeRegistry:
    """A function that writes a registry folder and opens it.

    It takes variants as `{name: {version: entry}}`; an entry is the data of one, and under the key `blob`
    the bytes of its weights. A spec is added where there is none.
    """

    def make(folder: str = "registry", id: str = "tests", **variants: dict[str, Any]) -> Registry:  # noqa: A002 - the word of the file
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        data: dict[str, Any] = {"schema": 1, "id": id, "serial": 1, "variants": {}}
        for name, versions in variants.items():
            entries = {}
            for number, given in versions.items():
                entry = {"spec": SMALL_SPEC, **given}
                if (content := entry.pop("blob", None)) is not None:
                    sha256 = hashlib.sha256(content).hexdigest()
                    blob = root / "blobs" / "sha256" / sha256[:2] / sha256
                    blob.parent.mkdir(parents=True, exist_ok=True)
                    blob.write_bytes(content)
                    entry["weights"] = {"sha256": sha256, "size": len(content)}
                entries[number] = entry
            data["variants"][name] = {"summary": f"The {name}.", "versions": entries}
        (root / "registry.yaml").write_text(json.dumps(data, indent=1))  # JSON is YAML
        return Registry(root)

    return make


SMALL_SPEC: dict[str, Any] = {
    "input": {"kind": "image", "channels": 3, "size": [8, 8]},
    "backbone": {"name": "attn_cnn", "widths": [4, 8], "depths": [1, 1]},
    "attention": [{"name": "se", "slot": "branch"}],
    "head": {"name": "avg"},
    "output": {"labels": ["cat", "dog"]},
}


@pytest.fixture
def small_spec() -> dict[str, Any]:
    """The data of a spec that builds in a millisecond: attn_cnn with se, for cats and dogs."""
    copy: dict[str, Any] = json.loads(json.dumps(SMALL_SPEC))
    return copy

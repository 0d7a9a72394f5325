"""What every test gets: a cache and plug-ins of its own, and one thread."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from zoo import Registry, plugins
from zoo.serving import MirrorServer

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
    for name in ("ZOO_CACHE_READ", "ZOO_OFFLINE", "COLUMNS"):  # the last is set by pytest-xdist
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(autouse=True)
def whole_arithmetic() -> Iterator[None]:
    """Take back what a command that computes has set for the whole process."""
    yield
    torch.set_flush_denormal(False)


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


class Mirror:
    """A web server with a registry's folder behind it, and what was asked of it."""

    def __init__(self, root: Path, port: int = 0) -> None:
        self.requests: list[str] = []
        self._server = MirrorServer(root, "127.0.0.1", port, log=self.requests.append)
        self.url = self._server.url
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def asked_for(self, what: str) -> int:
        """How many requests name it."""
        return sum(what in line for line in self.requests)

    def stop(self) -> None:
        """Let go of the port; from now on nobody answers there."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


Serve = Callable[[Path], Mirror]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that serves the folder of a registry on loopback until the test ends."""
    mirrors: list[Mirror] = []

    def start(root: Path) -> Mirror:
        mirrors.append(Mirror(root))
        return mirrors[-1]

    yield start
    for mirror in mirrors:
        mirror.stop()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test fail where anything makes a socket, or asks for a host's address."""

    def refuse(*args: Any, **options: Any) -> None:
        pytest.fail("the network was used")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


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

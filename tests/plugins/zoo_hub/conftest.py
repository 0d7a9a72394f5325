"""A stand-in of the hub: the endpoint that files are read from, and the host that it redirects large ones to."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

FILE = re.compile(r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)\Z")


class StandIn:
    """What the hub holds, how it misbehaves, and what it was asked.

    Attributes:
        files: Contents by (repository, revision, path). Those below `blobs/` lie on the second host.
        faults: Status and headers to answer with instead, for a path of a file.
        token: What is asked for; None lets everybody in.
        asked: The requests, as (host, path, headers).
    """

    def __init__(self) -> None:
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.faults: dict[str, tuple[int, dict[str, str]]] = {}
        self.token: str | None = None
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.hub = self._server(_Hub)
        self.storage = self._server(_Storage)
        self.endpoint = f"http://127.0.0.1:{self.hub.server_address[1]}"
        # Another name, so that it is another host to the client.
        self.elsewhere = f"http://localhost:{self.storage.server_address[1]}"

    def _server(self, handler: type[_Handler]) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Bound", (handler,), {"stand_in": self})
        )
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def stop(self) -> None:
        """Stop both hosts."""
        for server in (self.hub, self.storage):
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    host = ""

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.stand_in.asked.append((self.host, self.path, headers))
        match = FILE.match(self.path.partition("?")[0])
        assert match, self.path
        self.answer(match[1], match[2].replace("%2F", "/"), match[3], headers)

    def answer(self, repository: str, revision: str, path: str, headers: dict[str, str]) -> None:
        raise NotImplementedError

    def send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, content: bytes, headers: dict[str, str]) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        described = {"ETag": tag, "Accept-Ranges": "bytes"}
        part = re.match(r"bytes=(\d+)-\Z", headers.get("range", ""))
        if part is None or headers.get("if-range", tag) != tag:
            self.send(200, described, content)
        elif (start := int(part[1])) >= len(content):
            self.send(416, {"Content-Range": f"bytes */{len(content)}"})
        else:
            extent = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send(206, {**described, "Content-Range": extent}, content[start:])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base class
        pass


class _Hub(_Handler):
    host = "hub"

    def answer(self, repository: str, revision: str, path: str, headers: dict[str, str]) -> None:
        hub = self.stand_in
        if path in hub.faults:
            self.send(*hub.faults[path])
        elif hub.token is not None and headers.get("authorization") != f"Bearer {hub.token}":
            self.send(401, {"X-Error-Code": "RepoNotFound"})
        elif not any(key[0] == repository for key in hub.files):
            self.send(404, {"X-Error-Code": "RepoNotFound"})
        elif not any(key[:2] == (repository, revision) for key in hub.files):
            self.send(404, {"X-Error-Code": "RevisionNotFound"})
        elif (repository, revision, path) not in hub.files:
            self.send(404, {"X-Error-Code": "EntryNotFound"})
        elif path.startswith("blobs/"):
            self.send(302, {"Location": f"{hub.elsewhere}{self.path}?Signature=secret"})
        else:
            self.send_file(hub.files[repository, revision, path], headers)


class _Storage(_Handler):
    host = "storage"

    def answer(self, repository: str, revision: str, path: str, headers: dict[str, str]) -> None:
        if f"storage/{path}" in self.stand_in.faults:
            self.send(*self.stand_in.faults[f"storage/{path}"])
        else:
            self.send_file(self.stand_in.files[repository, revision, path], headers)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A hub on this machine, in place of the real one."""
    stand_in = StandIn()
    monkeypatch.setenv("HF_ENDPOINT", stand_in.endpoint)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield stand_in
    stand_in.stop()

"""Registries on web hosts: who is asked, with which headers. What servers do wrong is in tests/faults."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from zoo import FetchError, Unavailable
from zoo.store.http import HttpPlace
from zoo.transports import Body

CONTENT = b"schema: 1\n"


class Server(ThreadingHTTPServer):
    """A server that writes down what it is asked, and asks back for a token if it has one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.clients: set[int] = set()
        self.token: str | None = None


class Handler(BaseHTTPRequestHandler):
    """Gives one file under every name, and keeps connections open."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.path, headers))
        self.server.clients.add(self.client_address[1])
        wanted = self.server.token
        allowed = wanted is None or headers.get("authorization") == f"Bearer {wanted}"
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, and no credentials of whoever runs the tests."""
    monkeypatch.setenv("NETRC", os.devnull)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def content(body: Body) -> bytes:
    """All of a body."""
    return b"".join(body.chunks)


def test_what_is_asked(server: Server) -> None:
    """A path below the base; who asks; and no encoding."""
    assert content(HttpPlace(f"{server.base}/a b/").open("registry.yaml")) == CONTENT
    ((path, headers),) = server.requests
    assert path == "/a%20b/registry.yaml"
    assert headers["user-agent"].startswith("attn-zoo/")
    assert headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie", "referer", "range"} & headers.keys()


def test_one_connection_is_used_again(server: Server) -> None:
    """A handshake costs more than a small file."""
    place = HttpPlace(server.base)
    for _ in range(3):
        assert content(place.open("registry.yaml")) == CONTENT
    assert len(server.clients) == 1


def test_a_forked_process_opens_its_own(server: Server) -> None:
    """Two processes on one connection would get each other's bytes."""
    place = HttpPlace(server.base)
    content(place.open("registry.yaml"))
    child = os.fork()
    if child == 0:
        os._exit(0 if content(place.open("registry.yaml")) == CONTENT else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(server.clients) == 2


def test_a_token_goes_to_the_registry(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first request."""
    server.token = "abc"
    monkeypatch.setenv("ZOO_TOKEN_TEAM", "abc")
    assert content(HttpPlace(server.base, registry="team").open("registry.yaml")) == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("token", [None, "wrong-and-hidden"])
def test_a_refusal_says_where_credentials_belong(
    server: Server, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not tried again, and shows none."""
    server.token = "abc"
    if token:
        monkeypatch.setenv("ZOO_TOKEN_TEAM", token)
    with pytest.raises(
        FetchError, match=r"refuses \(401 Unauthorized\)\. .*ZOO_TOKEN_TEAM"
    ) as caught:
        HttpPlace(server.base, registry="team").open("registry.yaml")
    assert "hidden" not in str(caught.value)
    assert len(server.requests) == 1


def test_the_keyring_is_asked_after_a_refusal(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may ask the user back, which nobody wants who needs no token."""
    asked = []
    module, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    module.__spec__ = ModuleSpec("keyring", None)
    errors.KeyringError = Exception  # type: ignore[attr-defined]

    def get_password(service: str, user: str) -> str:
        asked.append((service, user))
        return "abc"

    module.get_password = get_password  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    place = HttpPlace(server.base)
    assert content(place.open("registry.yaml")) == CONTENT
    assert asked == []
    server.token = "abc"
    assert content(place.open("registry.yaml")) == CONTENT
    assert asked == [("zoo", server.base)]


def test_a_proxy_is_used_and_not_for_this_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the environment says."""
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.base.replace("://", "://me:p%40ss@"))
    assert content(HttpPlace("http://models.invalid/zoo").open("registry.yaml")) == CONTENT
    assert server.requests[0][0] == "http://models.invalid/zoo/registry.yaml"
    assert server.requests[0][1]["proxy-authorization"] == "Basic bWU6cEBzcw=="
    assert content(HttpPlace(server.base).open("registry.yaml")) == CONTENT
    assert server.requests[1][0] == "/registry.yaml"
    assert "proxy-authorization" not in server.requests[1][1]


def test_a_proxy_that_does_not_answer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told from a server that does not, and its password is not shown."""
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://me:hidden@127.0.0.1:1")
    with pytest.raises(Unavailable, match="the proxy that the environment names") as caught:
        HttpPlace("http://models.invalid/zoo").open("registry.yaml")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("exempt", ["models.invalid", "models.invalid:80", ".invalid"])
def test_a_host_that_is_exempt_from_the_proxy(
    server: Server, exempt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked itself."""
    monkeypatch.setenv("http_proxy", server.base)
    monkeypatch.setenv("no_proxy", exempt)
    with pytest.raises(Unavailable, match="the host's name is not known here"):
        HttpPlace("http://models.invalid/zoo").open("registry.yaml")
    assert server.requests == []


def test_making_a_place_imports_no_urllib3() -> None:
    """Only a byte that has to be fetched does."""
    program = (
        "import sys; from zoo.store.http import HttpPlace; HttpPlace('https://host/zoo');"
        "from zoo.store.fetching import fetch_blob; sys.exit('urllib3' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

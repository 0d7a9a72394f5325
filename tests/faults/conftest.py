"""A web server that misbehaves on purpose, on sockets alone: a fault is one function that gets the exchange.

    def never_answers(exchange):
        exchange.wait(60)

    server = serve(never_answers)
    fetch_blob(server.place(), ...)

A handler may look at `exchange.number` to behave better the second time, and end with `exchange.answer(content)`,
which is what a good server does.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from zoo.store import blob_name
from zoo.store.cache import Cache, default_cache
from zoo.store.http import HttpPlace
from zoo.store.patience import Patience

Handler = Callable[["Exchange"], None]


class Exchange:
    """One request, and the connection on which to answer it.

    Attributes:
        number: 1 for the first request that the server got.
        path: What was asked for.
        headers: The request's headers, names in lower case.
    """

    def __init__(self, server: FaultServer, connection: socket.socket, text: str) -> None:
        self.server, self._connection = server, connection
        first, *lines = text.split("\r\n")
        self.path = first.split(" ")[1]
        pairs = (line.partition(": ") for line in lines if line)
        self.headers = {name.lower(): value for name, _, value in pairs}
        server.requests.append(self)
        self.number = len(server.requests)

    @property
    def start(self) -> int:
        """The byte from which on the file was asked for."""
        found = re.match(r"bytes=(\d+)-\Z", self.headers.get("range", ""))
        return int(found[1]) if found else 0

    def raw(self, data: bytes) -> None:
        """Send bytes outside HTTP."""
        self._connection.sendall(data)

    def head(self, status: int, **headers: object) -> None:
        """Send the head of an answer; `_` in a name stands for `-`."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.raw(
            "\r\n".join([f"HTTP/1.1 {status} X", "Connection: close", *lines, "", ""]).encode()
        )

    def send(self, data: bytes) -> None:
        """Send a part of the body."""
        view = memoryview(data)
        while view:
            count = self._connection.send(view[: 2**16])
            self.server.sent += count
            view = view[count:]

    def answer(self, content: bytes, *, etag: str | None = None, **headers: object) -> None:
        """Answer as a good server does, a range with that range."""
        start = self.start
        if etag is not None:
            headers["ETag"] = etag
            if self.headers.get("if-range", etag) != etag:
                start = 0
        if start > len(content):
            self.head(416, Content_Length=0, Content_Range=f"bytes */{len(content)}")
            return
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.head(206 if start else 200, Content_Length=len(content) - start, **headers)
        self.send(content[start:])

    def wait(self, seconds: float) -> None:
        """Do nothing, until the server is stopped at the latest."""
        self.server.stopped.wait(seconds)

    def reset(self) -> None:
        """Break the connection off as a crashed machine does."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


class FaultServer:
    """A server on a free port of this machine, with a thread for each connection.

    Attributes:
        requests: What it was asked, in order.
        sent: How many bytes of bodies it got rid of.
        stopped: Set when it stops.
    """

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Exchange] = []
        self.sent = 0
        self.stopped = threading.Event()
        self._handler, self._tls = handler, tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def place(self, **arguments: Any) -> HttpPlace:
        """The place of this server, which waits half a second at most."""
        return HttpPlace(self.address, **{"connect": 0.5, "read": 0.5, **arguments})

    def close_port(self) -> None:
        """Let nobody in any more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def stop(self) -> None:
        """Stop, and wait for the threads."""
        self.stopped.set()
        self.close_port()
        for thread in self._threads:
            thread.join(5)

    def _listen(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(20)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                text = b""
                while not text.endswith(b"\r\n\r\n"):
                    piece = connection.recv(2**16)
                    if not piece:
                        return
                    text += piece
                self._handler(Exchange(self, connection, text.decode("latin-1")))


Serve = Callable[..., FaultServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that starts a server with a handler; all are stopped at the end."""
    servers = []

    def start(handler: Handler, tls: ssl.SSLContext | None = None) -> FaultServer:
        servers.append(FaultServer(handler, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


class Blob:
    """Some content with its digest."""

    def __init__(self, content: bytes) -> None:
        self.content, self.size = content, len(content)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.name = blob_name(self.sha256)


@pytest.fixture
def blob() -> Blob:
    """A blob of three and a half pieces that holds no pattern."""
    return Blob(os.urandom(7 * 2**19))


@pytest.fixture
def store(cache: object) -> Cache:
    """The cache of this test."""
    return default_cache()


@pytest.fixture
def quick() -> Patience:
    """Little patience: three attempts, and a slow server is one that sends less than 1 kB in 0.3 s."""
    return Patience(
        attempts=3, pause=0.01, longest_pause=0.02, longest_asked=2, minimum_rate=3000, window=0.3
    )

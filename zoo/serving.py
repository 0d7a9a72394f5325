"""A read-only mirror: the files of a registry's folder over HTTP.

Two forms of path are answered, `/registry.yaml` and `/blobs/sha256/ab/<64 hex>`, compared as they were
sent and never decoded. They are opened folder by folder without following symbolic links, so that nothing else
on the machine can be reached.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import BinaryIO, NamedTuple

from zoo.errors import InvalidValue

INDEX = "/registry.yaml"
_BLOB = re.compile(r"/blobs/sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})\Z")
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})\Z")
_PATIENCE = 60.0  # seconds in which a client must take or send at least one byte


class MirrorServer(ThreadingTCPServer):
    """Serves the folder of a registry to whoever asks; a thread a client, so that a slow one holds up nobody.

    Args:
        root: The folder.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        log: Gets a line for every request.

    Raises:
        InvalidValue: That address cannot be listened on.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, root: Path, host: str, port: int, *, log: Callable[[str], None]) -> None:
        self.root, self.log = root, log
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InvalidValue(
                f"{host} port {port} cannot be listened on: {reason}. Choose another host or port."
            ) from None

    @property
    def url(self) -> str:
        """The address of the mirror."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes | bytearray) else host
        return f"http://{f'[{name}]' if ':' in name else name}:{port}"

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - as in the base class
        """Log what went wrong with one client; the others go on."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            self.log(f"{client_address}: {type(error).__name__}: {error}")


class _File(NamedTuple):
    """An open file of the registry, with what its headers say."""

    file: BinaryIO
    size: int
    tag: str
    kind: str
    caching: str


class _Handler(BaseHTTPRequestHandler):
    server: MirrorServer
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE
    disable_nagle_algorithm = True
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _refuse_method(self) -> None:
        self.close_connection = True  # a body may follow, which nobody reads
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "this mirror is read-only", Allow="GET, HEAD")

    # The names that http.server calls.
    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse_method  # noqa: N815 - as above

    def _answer(self, *, with_body: bool) -> None:
        if self.headers.get("Transfer-Encoding") or self.headers.get("Content-Length", "0") != "0":
            self.close_connection = True
        try:
            found = _open(self.server.root, self.path)
        except OSError:
            self._refuse(HTTPStatus.NOT_FOUND, "no file of this registry")
            return
        with found.file:
            self._send(found, with_body=with_body)

    def _send(self, found: _File, *, with_body: bool) -> None:
        if _names_tag(self.headers.get("If-None-Match", ""), found.tag):
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self._describe(found)
            self.end_headers()
            return
        wanted = self._wanted(found) if with_body else None
        if wanted is not None and not wanted:
            beyond = f"bytes */{found.size}"
            self._refuse(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                f"the file has {found.size} bytes",
                **{"Content-Range": beyond},
            )
            return
        part = range(found.size) if wanted is None else wanted
        self.send_response(HTTPStatus.OK if wanted is None else HTTPStatus.PARTIAL_CONTENT)
        self._describe(found)
        if wanted is not None:
            self.send_header("Content-Range", f"bytes {part.start}-{part.stop - 1}/{found.size}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if with_body and part:
            sent = self.connection.sendfile(found.file, part.start, len(part))
            self.close_connection |= sent != len(part)

    def _describe(self, found: _File) -> None:
        self.send_header("Content-Type", found.kind)
        self.send_header("Cache-Control", found.caching)
        self.send_header("ETag", found.tag)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Content-Type-Options", "nosniff")

    def _wanted(self, found: _File) -> range | None:
        """The bytes asked for; None for the whole file, an empty range for bytes that there are not."""
        if self.headers.get("If-Range", found.tag) != found.tag:
            return None
        return byte_range(self.headers.get("Range", ""), found.size)

    def _refuse(self, status: HTTPStatus, why: str, **headers: str) -> None:
        body = f"{status.value} {status.phrase}: {why}\n".encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", self.error_content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """What the header `Server` says."""
        return "zoo"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Hand a line to the log."""
        self.server.log(f"{self.client_address[0]} {format % args}")


def byte_range(header: str, size: int) -> range | None:
    """What the header `Range` asks for of a file of `size` bytes.

    Returns:
        None for the whole file: no range, several, or one that is written wrongly, as HTTP allows. An empty
        range if there are no such bytes.
    """
    match = _RANGE.match(header.strip())
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        return range(max(0, size - int(match[2])), size)
    first, last = int(match[1]), int(match[2] or size)
    return None if last < first else range(first, min(last + 1, size))


def _names_tag(header: str, tag: str) -> bool:
    tags = [one.strip().removeprefix("W/") for one in header.split(",")]
    return tag in tags or tags == ["*"]


def _open(root: Path, path: str) -> _File:
    """Open what a path of a request names.

    Raises:
        OSError: There is no such file, or it is none of the registry's.
    """
    if path == INDEX:
        file, status = _open_below(root, ["registry.yaml"])
        # An index is replaced, never written over: another one is another file.
        tag = f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"'
        return _File(file, status.st_size, tag, "application/yaml", "no-cache")
    match = _BLOB.match(path)
    if match is None:
        raise FileNotFoundError(path)
    file, status = _open_below(root, ["blobs", "sha256", match[1], match[2]])
    caching = "public, max-age=31536000, immutable"
    return _File(file, status.st_size, f'"{match[2]}"', "application/octet-stream", caching)


def _open_below(root: Path, parts: list[str]) -> tuple[BinaryIO, os.stat_result]:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Not blocking: a pipe that lies there must not hold a thread.
        handle = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    file = open(handle, "rb", buffering=0)  # noqa: SIM115 - the caller closes it
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise FileNotFoundError(parts[-1])
    return file, status

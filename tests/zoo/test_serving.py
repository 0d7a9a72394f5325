"""The mirror: the two files of a registry over HTTP, and nothing else of the machine."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zoo.errors import InvalidValue
from zoo.serving import MirrorServer, _Handler, byte_range

CONTENT = bytes(range(256)) * 8
SHA256 = hashlib.sha256(CONTENT).hexdigest()
BLOB = f"/blobs/sha256/{SHA256[:2]}/{SHA256}"
INDEX = b"schema: 1\nid: ours\nserial: 1\nvariants: {}\n"

Ask = Callable[..., tuple[http.client.HTTPResponse, bytes]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a registry with one blob, and a file beside the folder that is nobody's business."""
    root = tmp_path / "ours"
    (root / BLOB[1:]).parent.mkdir(parents=True)
    (root / BLOB[1:]).write_bytes(CONTENT)
    (root / "registry.yaml").write_bytes(INDEX)
    (root / "notes.txt").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    return root


@pytest.fixture
def log() -> list[str]:
    """What the mirror logs."""
    return []


@pytest.fixture
def mirror(root: Path, log: list[str]) -> Iterator[MirrorServer]:
    """The mirror, running on a free port of this machine."""
    with MirrorServer(root, "127.0.0.1", 0, log=log.append) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(mirror: MirrorServer) -> Ask:
    """A function that sends one request and returns the answer with its body."""

    def ask(
        path: str, method: str = "GET", **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(*mirror.server_address[:2], timeout=10)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    return ask


def raw(mirror: MirrorServer, request: bytes) -> bytes:
    """Send bytes as they are, and return the whole answer."""
    with socket.create_connection(mirror.server_address[:2], timeout=10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_a_blob_is_sent_whole_and_for_ever(ask: Ask) -> None:
    """All headers that a cache and a resuming client need; the tag is the digest."""
    answer, body = ask(BLOB)
    assert (answer.status, body) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["ETag"] == f'"{SHA256}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Encoding"] is None


def test_the_index_is_asked_for_again_each_time(ask: Ask, root: Path) -> None:
    """It may be kept but not used unasked; the tag tells whether it changed."""
    answer, body = ask("/registry.yaml")
    assert (answer.status, body) == (200, INDEX)
    assert answer.headers["Cache-Control"] == "no-cache"
    tag = answer.headers["ETag"]
    assert ask("/registry.yaml", If_None_Match=tag)[0].status == 304
    assert ask("/registry.yaml", If_None_Match=f'"x", W/{tag}')[0].status == 304
    (root / "new").write_bytes(INDEX.replace(b"serial: 1", b"serial: 2"))
    os.replace(root / "new", root / "registry.yaml")
    answer, body = ask("/registry.yaml", If_None_Match=tag)
    assert answer.status == 200
    assert b"serial: 2" in body


def test_head_says_the_same_without_a_body(ask: Ask) -> None:
    """Of a blob, of the index, and of what is not there."""
    answer, body = ask(BLOB, "HEAD")
    assert (answer.status, body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert ask("/registry.yaml", "HEAD")[1] == b""
    assert ask("/nothing", "HEAD")[0].status == 404


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=0-0", 0, 1), ("bytes=100-199", 100, 200), ("bytes=2000-", 2000, 2048),
     ("bytes=-48", 2000, 2048), ("bytes=-9999", 0, 2048), ("bytes=5-99999", 5, 2048)],
)  # fmt: skip
def test_a_part_is_sent(ask: Ask, header: str, start: int, stop: int) -> None:
    """From a byte, to a byte, or the last so many."""
    answer, body = ask(BLOB, Range=header)
    assert (answer.status, body) == (206, CONTENT[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("header", ["bytes=2048-", "bytes=9999-10000", "bytes=-0"])
def test_a_part_that_there_is_not_is_416(ask: Ask, header: str) -> None:
    """The answer says how long the file is."""
    answer, _ = ask(BLOB, Range=header)
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    "header",
    ["bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=0-1,5-6", "lines=0-1", "bytes=-5-9", "bytes=+1-2",
     "bytes=٣-٤", "bytes=" + "9" * 40 + "-", "0-1", "bytes 0-1", "bytes=0x0-1"],
)  # fmt: skip
def test_a_range_that_is_written_wrongly_gives_the_whole_file(header: str) -> None:
    """As if it were not there; so do several ranges at once."""
    assert byte_range(header, 2048) is None


def test_a_part_of_another_file_is_not_sent(ask: Ask) -> None:
    """A client that resumes what has changed gets all of the new one."""
    assert ask(BLOB, Range="bytes=5-", If_Range=f'"{SHA256}"')[0].status == 206
    answer, body = ask(BLOB, Range="bytes=5-", If_Range='"another"')
    assert (answer.status, body) == (200, CONTENT)


@pytest.mark.parametrize(
    "path",
    ["/", "/notes.txt", "/../secret.txt", "/%2e%2e/secret.txt", "/blobs/../../secret.txt",
     "/blobs/sha256/../../notes.txt", "/blobs/sha256/%2e%2e/%2e%2e/notes.txt", "/etc/passwd", "//etc/passwd",
     "/..%2fsecret.txt", "/..\\secret.txt", "/registry.yaml/", "/registry.yaml%00", "/registry.yaml?x",
     "/./registry.yaml", "/blobs/", "/blobs/sha256/", BLOB + "/", BLOB.upper(), BLOB[:-1], BLOB + "0",
     BLOB.replace(f"/{SHA256[:2]}/", "/../"), f"/blobs/sha256/00/{SHA256}", "/" + "a" * 60_000,
     "/blobs/sha256/" + "/".join([".."] * 50), "file:///etc/passwd", "http://127.0.0.1/registry.yaml"],
)  # fmt: skip
def test_every_other_path_is_not_found(mirror: MirrorServer, path: str) -> None:
    """Dots, encoded dots, absolute paths, other files of the folder, other spellings."""
    answer = raw(mirror, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"404", b"400")
    assert b"secret" not in answer.partition(b"\r\n\r\n")[2]
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "request_line",
    [b"GET /registry.yaml\x00 HTTP/1.1", b"GET /\x00../secret.txt HTTP/1.1", b"GET /\xff\xfe HTTP/1.1",
     b"GET /" + b"a" * 70_000 + b" HTTP/1.1", b"GARBAGE", b"GET / HTTP/9.9", b"\x16\x03\x01\x02\x00"],
)  # fmt: skip
def test_broken_requests_are_refused_and_the_mirror_goes_on(
    mirror: MirrorServer, ask: Ask, request_line: bytes
) -> None:
    """NUL bytes, bytes that are no text, lines without an end, another protocol."""
    answer = raw(mirror, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b" 200 " not in answer.partition(b"\r\n")[0]
    assert b"secret" not in answer
    assert ask(BLOB)[1] == CONTENT


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_writing_is_refused(ask: Ask, root: Path, method: str) -> None:
    """With what is allowed instead; nothing changes."""
    answer, body = ask("/registry.yaml", method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert b"read-only" in body
    assert (root / "registry.yaml").read_bytes() == INDEX


def test_a_body_is_not_taken_for_the_next_request(mirror: MirrorServer) -> None:
    """What follows the headers of a refused request is not read as a request of its own."""
    inner = b"GET /registry.yaml HTTP/1.1\r\nHost: x\r\n\r\n"
    for method, path in ((b"POST", b"/"), (b"GET", b"/nothing")):
        head = b"%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (
            method,
            path,
            len(inner),
        )
        assert raw(mirror, head + inner).count(b"HTTP/1.1 ") == 1


def test_links_are_not_followed(mirror: MirrorServer, ask: Ask, root: Path) -> None:
    """Neither one in place of a blob, nor of a folder above it, nor of the index."""
    inside, outside = "ab" + "0" * 62, "cd" + "0" * 62
    (root / "blobs/sha256/ab").mkdir()
    (root / "blobs/sha256/ab" / inside).symlink_to("../../../../secret.txt")
    (root.parent / "elsewhere").mkdir()
    (root.parent / "elsewhere" / outside).write_text("secret")
    (root / "blobs/sha256/cd").symlink_to("../../../elsewhere")
    assert ask(f"/blobs/sha256/ab/{inside}")[0].status == 404
    assert ask(f"/blobs/sha256/cd/{outside}")[0].status == 404
    (root / "registry.yaml").unlink()
    (root / "registry.yaml").symlink_to("../secret.txt")
    assert ask("/registry.yaml")[0].status == 404


def test_what_is_no_file_is_not_opened(ask: Ask, root: Path) -> None:
    """A pipe or a folder that lies where a blob should be holds up nobody."""
    (root / "blobs/sha256/ef").mkdir()
    os.mkfifo(root / "blobs/sha256/ef" / ("ef" + "0" * 62))
    (root / "blobs/sha256/ef" / ("ef" + "1" * 62)).mkdir()
    assert ask("/blobs/sha256/ef/ef" + "0" * 62)[0].status == 404
    assert ask("/blobs/sha256/ef/ef" + "1" * 62)[0].status == 404


def test_slow_clients_do_not_hold_up_others(mirror: MirrorServer, ask: Ask) -> None:
    """Twenty that never finish their request, and one who asks and does not read."""
    clients = [socket.create_connection(mirror.server_address[:2]) for _ in range(21)]
    try:
        for client in clients:
            client.sendall(f"GET {BLOB} HTTP/1.1\r\n".encode())
        clients[-1].sendall(b"Host: x\r\n\r\n")
        began = time.monotonic()
        assert ask(BLOB)[1] == CONTENT
        assert time.monotonic() - began < 25
    finally:
        for client in clients:
            client.close()


def test_a_client_that_says_nothing_is_let_go(
    mirror: MirrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time of patience its connection is closed, so that it holds no thread for ever."""
    monkeypatch.setattr(_Handler, "timeout", 0.1)
    with socket.create_connection(mirror.server_address[:2], timeout=10) as client:
        client.sendall(b"GET /regis")
        assert client.recv(100) == b""


def test_a_client_that_takes_nothing_is_let_go(
    mirror: MirrorServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob that does not fit the buffers, asked for and never read, ends with the time of patience."""
    monkeypatch.setattr(_Handler, "timeout", 0.1)
    name = "99" + "0" * 62
    (root / "blobs/sha256/99").mkdir(exist_ok=True)
    with open(root / "blobs/sha256/99" / name, "wb") as file:
        file.truncate(2**28)
    with socket.create_connection(mirror.server_address[:2], timeout=10) as client:
        client.sendall(f"GET /blobs/sha256/99/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(1)
        received = 0
        with contextlib.suppress(ConnectionError):
            while piece := client.recv(2**20):
                received += len(piece)
    assert 0 < received < 2**28


def test_a_client_that_goes_away_is_no_error(
    mirror: MirrorServer, ask: Ask, log: list[str]
) -> None:
    """The mirror goes on, and its log shows no trace of it but the request."""
    with socket.create_connection(mirror.server_address[:2]) as client:
        client.sendall(f"GET {BLOB} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert ask(BLOB)[1] == CONTENT
    assert all("Error" not in line for line in log)


def test_the_log_has_a_line_for_every_request(ask: Ask, log: list[str]) -> None:
    """Who, what, and how it went."""
    ask(BLOB)
    ask("/nothing")
    assert log == [
        f'127.0.0.1 "GET {BLOB} HTTP/1.1" 200 -',
        '127.0.0.1 "GET /nothing HTTP/1.1" 404 -',
    ]


def test_connections_are_kept(mirror: MirrorServer) -> None:
    """Several requests go over one connection."""
    connection = http.client.HTTPConnection(*mirror.server_address[:2], timeout=10)
    for _ in range(3):
        connection.request("GET", BLOB)
        first = connection.sock
        assert connection.getresponse().read() == CONTENT
        assert connection.sock is first
    connection.close()


def test_a_port_that_is_taken_is_refused(mirror: MirrorServer, root: Path) -> None:
    """So are hosts and ports that there are not; the message says what to do."""
    port = mirror.server_address[1]
    for host, number in (("127.0.0.1", port), ("127.0.0.1", 99_999), ("203.0.113.1", 0)):
        with pytest.raises(InvalidValue, match=r"cannot be listened on: .+\. Choose another"):
            MirrorServer(root, host, number, log=print)


def test_the_address_can_be_used(root: Path) -> None:
    """Of both versions of the protocol, with the port that was found."""
    for host, begin in (("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")):
        try:
            server = MirrorServer(root, host, 0, log=print)
        except InvalidValue:
            assert host == "::1", "only IPv6 may be missing on a machine"
            continue
        with server:
            assert server.url == f"{begin}{server.server_address[1]}"

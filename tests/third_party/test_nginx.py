"""A real nginx with the guide's configuration is a mirror."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoo.store.cache import Cache
from zoo.store.fetching import fetch_blob
from zoo.store.places import open_place

GUIDE = (Path(__file__).parents[2] / "docs" / "registries.md").read_text()
CONTENT = bytes(range(256)) * 64
SHA256 = hashlib.sha256(CONTENT).hexdigest()
BLOB = f"/blobs/sha256/{SHA256[:2]}/{SHA256}"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

# What nginx needs to run as a test, unprivileged and in one process, around the guide's lines.
AROUND = """
daemon off; master_process off; pid nginx.pid; error_log error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    {server}
}}
"""


@pytest.fixture
def port(make_registry, tmp_path: Path) -> Iterator[int]:
    """The port of an nginx that serves a registry with one blob."""
    root = make_registry(ours_cnn={"1.0.0": {"blob": CONTENT}}).root
    (root / "notes.txt").write_text("secret")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    server = GUIDE.partition("<!-- nginx -->\n```nginx\n")[2].partition("```")[0]
    assert "listen 80;" in server
    server = server.replace("listen 80;", f"listen 127.0.0.1:{number};")
    server = server.replace("/srv/our-zoo", str(root))
    (tmp_path / "nginx.conf").write_text(AROUND.format(server=server))
    for folder in (tmp_path, root, *root.rglob("*")):
        folder.chmod(0o755)
    command = ["nginx", "-p", f"{tmp_path}/", "-c", "nginx.conf", "-e", "error.log"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for(number, process)
        yield number
    finally:
        process.terminate()
        process.wait(timeout=60)
        assert process.stderr is not None
        process.stderr.close()


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
    raise AssertionError("nginx does not listen")


def ask(port: int, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """Send one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_the_readme_s_lines_make_a_mirror(port: int) -> None:
    """The index is asked for each time, blobs may be kept for ever, parts are sent, and nothing else is."""
    answer, body = ask(port, "/registry.yaml")
    assert answer.status == 200
    assert b"ours_cnn" in body
    assert answer.headers["Cache-Control"] == "no-cache"
    answer, body = ask(port, BLOB)
    assert (answer.status, body) == (200, CONTENT)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    answer, body = ask(port, BLOB, Range="bytes=100-")
    assert (answer.status, body) == (206, CONTENT[100:])
    for path in (
        "/",
        "/notes.txt",
        "/blobs/",
        "/blobs/../notes.txt",
        "/%2e%2e/notes.txt",
        BLOB[:-1],
    ):
        answer, body = ask(port, path)
        assert answer.status in (404, 400)
        assert b"secret" not in body


def test_a_blob_is_fetched_from_it(port: int, cache: Path) -> None:
    """From the address to the verified file, and on from the middle."""
    place = open_place(f"http://127.0.0.1:{port}")
    assert fetch_blob(place, SHA256, len(CONTENT), Cache(cache)).read_bytes() == CONTENT
    whole = place.open(BLOB[1:])
    rest = place.open(BLOB[1:], start=10_000, validator=whole.validator)
    assert (rest.start, b"".join(rest.chunks)) == (10_000, CONTENT[10_000:])
    whole.chunks.close()

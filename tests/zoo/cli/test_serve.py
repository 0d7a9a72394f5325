"""`zoo serve`: a registry's folder for others."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from zoo.cli import COMMANDS, serve
from zoo.cli.arguments import make_parser


def _take_interrupts() -> None:
    """Undo what shells do to processes in the background, and these hand on: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(folder: Path, *options: str) -> tuple[subprocess.Popen[str], str, str]:
    """Start the command in a process of its own, and return it with the address that it gives and its second line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "serve", str(folder), "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=_take_interrupts,  # noqa: PLW1509 - it takes no lock
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    url = re.search(r"http://\S+:\d+", first)
    assert url, first + (process.communicate()[1] if not first else "")
    return process, url[0], process.stdout.readline()


def test_it_serves_until_it_is_interrupted(make_registry) -> None:
    """It says where, listens on this machine alone, logs requests, and ends without an error."""
    registry = make_registry(ours_cnn={"1.0.0": {"blob": b"weights"}})
    process, url, hint = start(registry.root)
    try:
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{url}/registry.yaml", timeout=10) as answer:
            assert answer.read() == (registry.root / "registry.yaml").read_bytes()
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert hint == f"Use it: zoo registry add {registry.name} {url}\n"
    assert '127.0.0.1 "GET /registry.yaml HTTP/1.1" 200' in out
    assert out.endswith("Stopped.\n")
    assert err == ""


def test_other_addresses_come_with_a_warning(make_registry) -> None:
    """Who opens the registry to others is told so; `--quiet` shows no requests."""
    process, url, _ = start(make_registry().root, "--host", "0.0.0.0", "--quiet")
    try:
        port = url.rpartition(":")[2]
        urllib.request.urlopen(f"http://127.0.0.1:{port}/registry.yaml", timeout=10).close()
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert "GET" not in out
    assert "zoo: warning: whoever reaches this machine can read this registry" in err


def test_what_is_no_registry_is_refused(command, tmp_path: Path) -> None:
    """Before anything listens."""
    outcome = command("serve", str(tmp_path))
    assert outcome.code == 2
    assert "holds no registry.yaml, so it is no registry" in outcome.err


def test_a_port_that_is_no_number_is_refused(command, tmp_path: Path) -> None:
    """With the option at fault."""
    outcome = command("serve", str(tmp_path), "--port", "http")
    assert outcome.code == 2
    assert "argument --port: invalid int value: 'http'" in outcome.err


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_a_port_out_of_range_is_refused(command, make_registry, port: str) -> None:
    """With the range, before anything listens."""
    outcome = command("serve", str(make_registry().root), "--port", port)
    assert outcome.code == 2
    assert f"--port: {port} is no port. Give one from 1 to 65535, or 0 for a free" in outcome.err


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("example.org", False), ("127.evil.example", False)],
)  # fmt: skip
def test_loopback_is_told(host: str, alone: bool) -> None:
    """Addresses that others reach are never taken for this machine's own."""
    assert serve._is_loopback(host) is alone


def test_this_machine_alone_is_the_default() -> None:
    """Nothing is open to others unasked."""
    parser = make_parser("zoo serve", COMMANDS["serve"].summary)
    serve.add_arguments(parser)
    assert parser.parse_args(["folder"]).host == "127.0.0.1"

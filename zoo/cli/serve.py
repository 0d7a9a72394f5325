"""`zoo serve`: a registry's folder as a read-only mirror over HTTP."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from zoo.cli.terminal import complain, flush, say
from zoo.errors import InvalidValue, ZooError

_LAST_PORT = 65_535


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", help="folder of a registry")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on: this machine alone (127.0.0.1) by default, 0.0.0.0 for all",
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="8000 by default; 0 takes a free one"
    )
    parser.add_argument("--quiet", action="store_true", help="no line for every request")


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.registry import Registry
    from zoo.serving import MirrorServer

    if not 0 <= args.port <= _LAST_PORT:
        raise InvalidValue(
            f"--port: {args.port} is no port. Give one from 1 to {_LAST_PORT}, or 0 for a free one."
        )
    registry = Registry(Path(args.folder))
    log = _nothing if args.quiet else _log
    with MirrorServer(Path(args.folder).resolve(), args.host, args.port, log=log) as server:
        if not _is_loopback(args.host):
            complain(
                "warning", "whoever reaches this machine can read this registry, weights and all."
            )
        say(
            f"Serving {registry.id} (serial {registry.serial}) at {server.url}; Ctrl-C stops it.",
            f"Use it: zoo registry add {registry.name} {server.url}",
        )
        flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Stopped.")
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _log(line: str) -> None:
    with suppress(OSError, ZooError):  # a mirror outlives whoever read its log
        say(line)
        flush()


def _nothing(line: str) -> None:
    pass

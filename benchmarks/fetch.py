"""How fast blobs are fetched and verified: zoo against curl, and against sha256 alone.

    python benchmarks/fetch.py [--megabytes 500] [--rounds 5] [--folder /dev/shm]

A small static server (sendfile, on loopback) runs in a process of its own and gives the same file to both. curl
writes it to a file and verifies nothing; zoo writes it to its cache, verifies size and sha256, and renames it. What
is measured takes turns within each round; medians and the best of each are shown, and so is processor time, since
the three compete with the server for the cores at hand. On a disk zoo's last step, waiting until the disk has the
bytes (fsync), takes what the disk takes; so `--folder` is by default in memory, and `curl + sync` is shown beside.

Also: resident memory for a tenth of the file and for all of it, what a resumed download asks the server for, and
what verifying 25 MB costs beside reading them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from zoo.files import read_whole
from zoo.store import blob_path, read_blob
from zoo.store.cache import Cache
from zoo.store.fetching import fetch_blob
from zoo.store.http import HttpPlace

PIECE = os.urandom(2**20)


class Source:
    """A file of random pieces, its digest, and a server that gives it, or its end, to whoever asks.

    The server says on a line of its own how many bytes each answer has.
    """

    def __init__(self, folder: Path, pieces: int) -> None:
        self.size, self.pieces = pieces * len(PIECE), pieces
        self.path = folder / f"source-{pieces}"
        digest = hashlib.sha256()
        with open(self.path, "wb") as file:
            for _ in range(pieces):
                file.write(PIECE)
                digest.update(PIECE)
        self.sha256 = digest.hexdigest()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(self.path)], stdout=subprocess.PIPE, text=True
        )
        self.address = f"http://127.0.0.1:{self._line()}"

    def _line(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def fetch(self, root: Path) -> int:
        """Fetch it with zoo; return how many bytes the server was asked for."""
        fetch_blob(HttpPlace(self.address), self.sha256, self.size, Cache(root))
        return self._line()

    def curl(self, target: Path) -> None:
        """Fetch it with curl."""
        subprocess.run(["curl", "-s", "-f", "-o", str(target), self.address], check=True)
        self._line()

    def stop(self) -> None:
        """Stop the server and delete the file."""
        self.process.kill()
        self.process.communicate()
        self.path.unlink()


def serve(path: Path) -> None:
    """The server: any path gives the file."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    print(listener.getsockname()[1], flush=True)

    def answer(connection: socket.socket) -> None:
        with connection, open(path, "rb") as file:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += connection.recv(2**16)
            asked = re.search(rb"bytes=(\d+)-", request)
            start, size = int(asked[1]) if asked else 0, path.stat().st_size
            head = [f"HTTP/1.1 {206 if asked else 200} OK", f"Content-Length: {size - start}"]
            if asked:
                head.append(f"Content-Range: bytes {start}-{size - 1}/{size}")
            connection.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode())
            print(size - start, flush=True)
            connection.sendfile(file, start)

    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def processor_time() -> float:
    """Seconds of processor time of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of processor time."""
    processor, clock = processor_time(), time.perf_counter()
    action()
    return time.perf_counter() - clock, processor_time() - processor


def speed(folder: Path, pieces: int, rounds: int) -> None:
    """Megabytes a second."""
    source, root, target = Source(folder, pieces), folder / "cache", folder / "target"

    def sha256() -> None:
        digest = hashlib.sha256()
        for _ in range(pieces):
            digest.update(PIECE)

    def curl_and_sync() -> None:
        source.curl(target)
        handle = os.open(target, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)

    ways: dict[str, Callable[[], object]] = {
        "sha256 alone": sha256,
        "curl": lambda: source.curl(target),
        "curl + sync": curl_and_sync,
        "zoo, verified": lambda: source.fetch(root),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    try:
        source.fetch(root)
        for _ in range(rounds):
            for name, way in ways.items():
                shutil.rmtree(root, ignore_errors=True)
                target.unlink(missing_ok=True)
                taken[name].append(timed(way))
    finally:
        source.stop()
    print(f"{source.size / 1e6:.0f} MB over loopback into {folder}, MB/s of {rounds} rounds")
    rate: dict[str, float] = {}
    for name, times in taken.items():
        clocks, processors = zip(*times, strict=True)
        rate[name] = source.size / statistics.median(clocks) / 1e6
        print(
            f"  {name:14}median {rate[name]:5.0f}   best {source.size / min(clocks) / 1e6:5.0f}   "
            f"processor {statistics.median(processors):.2f} s"
        )
    ratios = [
        max(sha[0], curl[0]) / zoo[0]
        for sha, curl, zoo in zip(
            taken["sha256 alone"], taken["curl"], taken["zoo, verified"], strict=True
        )
    ]
    print(
        f"  zoo against the slower of sha256 and curl, round by round: median {statistics.median(ratios):.2f}, "
        f"best {max(ratios):.2f}"
    )


def memory(folder: Path, pieces: int) -> None:
    """Growth of resident memory in a fresh process."""
    for count in (pieces // 10, pieces):
        source = Source(folder, count)
        program = (
            "import re, sys; from pathlib import Path; from zoo.store.cache import Cache\n"
            "from zoo.store.fetching import fetch_blob; from zoo.store.http import HttpPlace\n"
            "import zoo.store.connections\n"
            "status = Path('/proc/self/status')\n"
            "most = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', status.read_text())[1])\n"
            "before = most()\n"
            f"fetch_blob(HttpPlace({source.address!r}), {source.sha256!r}, {source.size}, Cache(Path(sys.argv[1])))\n"
            "print((most() - before) / 1024)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder / "cache")],
            capture_output=True,
            text=True,
            check=True,
        )
        print(f"memory: {count} MiB fetched with {float(done.stdout):.0f} MiB")
        source.stop()
        shutil.rmtree(folder / "cache")


def resuming(folder: Path, pieces: int) -> None:
    """What the server is asked for after a process that was killed had a part."""
    source, cache = Source(folder, pieces), Cache(folder / "cache")
    there = source.size // 3 + 12345
    cache.partial_folder.mkdir(parents=True)
    left = cache.partial_folder / f"{source.sha256}.{'0' * 16}.part"
    with open(source.path, "rb") as file:
        left.write_bytes(file.read(there))
    asked = source.fetch(cache.root)
    print(f"resuming: {source.size - there} bytes were missing, {asked} were asked for")
    source.stop()
    shutil.rmtree(cache.root)


def verifying(folder: Path, rounds: int) -> None:
    """Reading 25 MB from the cache, without and with their digest."""
    content = os.urandom(25_000_000)
    sha256 = hashlib.sha256(content).hexdigest()
    path = blob_path(folder, sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    reading, both = [], []
    for _ in range(rounds * 5):
        reading.append(timed(lambda: read_whole(path))[0] * 1e3)
        both.append(timed(lambda: read_blob(folder, sha256, len(content)))[0] * 1e3)
    shutil.rmtree(folder / "blobs")
    print(
        f"verifying 25 MB: reading {statistics.median(reading):.1f} ms, verified {statistics.median(both):.1f} ms; "
        f"best {min(reading):.1f} and {min(both):.1f} ms: {min(both) - min(reading):.1f} ms more"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=500, help="size of the file (MiB)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        speed(Path(name), args.megabytes, args.rounds)
        memory(Path(name), args.megabytes)
        resuming(Path(name), args.megabytes)
        verifying(Path(name), args.rounds)


if __name__ == "__main__":
    main()

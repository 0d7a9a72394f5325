"""Machines that misbehave: processes that are killed, locks that lie, disks that are full, clocks that are wrong."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zoo import FetchError
from zoo.errors import Offline, Unavailable
from zoo.store import blob_path, partials
from zoo.store.cache import Cache
from zoo.store.fetching import fetch_blob, fetch_bytes
from zoo.store.partials import Partial, turn
from zoo.store.patience import Patience

Serve = Callable[..., Any]
Exchange = Any  # of conftest.py, which cannot be imported
Blob = Any

FETCH = """
import sys
from pathlib import Path
from zoo.errors import ZooError
from zoo.store.cache import Cache
from zoo.store.fetching import fetch_blob
from zoo.store.http import HttpPlace
{before}
try:
    print(fetch_blob(HttpPlace("{address}"), "{sha256}", {size}, Cache(Path("{root}"))))
except ZooError as error:
    print(f"{{type(error).__name__}}: {{error}}")
    sys.exit(3)
"""


def _take_interrupts() -> None:
    """Undo what shells do to processes in the background, and these hand on: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(server: Any, blob: Blob, store: Cache, before: str = "", **arguments: Any) -> Any:
    """Start a process that fetches the blob, after doing something else."""
    program = FETCH.format(
        before=before,
        address=server.address,
        sha256=blob.sha256,
        size=blob.size,
        root=store.root,
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        **{"preexec_fn": _take_interrupts, **arguments},
    )


def fetch_in_process(
    server: Any, blob: Blob, store: Cache, before: str = "", **arguments: Any
) -> tuple[int, str]:
    """Do that, and return its exit code and what it said."""
    process = start(server, blob, store, before, **arguments)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out.strip()


def parts(store: Cache) -> list[Path]:
    """The unfinished files."""
    return sorted(store.partial_folder.glob("*.part"))


# Processes


def test_a_process_killed_in_the_middle_of_a_download(
    serve: Serve, blob: Blob, store: Cache, quick: Patience
) -> None:
    """The next one asks for the bytes that are missing, and at most one piece more."""

    def half(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(200, Content_Length=blob.size)
            exchange.send(blob.content[: blob.size // 2])
            exchange.wait(30)
        else:
            exchange.answer(blob.content)

    server = serve(half)
    process = start(server, blob, store)
    while not (parts(store) and parts(store)[0].stat().st_size == blob.size // 2):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert store.find(blob.sha256) is None
    path = fetch_blob(server.place(), blob.sha256, blob.size, store, patience=quick)
    assert path.read_bytes() == blob.content
    sent_again = server.sent - blob.size // 2
    assert sent_again <= blob.size - blob.size // 2 + 2**20


def test_an_interrupt_from_the_keyboard(serve: Serve, blob: Blob, store: Cache) -> None:
    """What came is kept."""

    def half(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=blob.size)
        exchange.send(blob.content[: blob.size // 2])
        exchange.wait(30)

    process = start(serve(half), blob, store, stderr=subprocess.DEVNULL)
    while not (parts(store) and parts(store)[0].stat().st_size == blob.size // 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert parts(store)[0].read_bytes() == blob.content[: blob.size // 2]


LYING_LOCK = "import fcntl; fcntl.flock = lambda handle, operation: None"
NO_LOCK = """
import fcntl
def flock(handle, operation):
    raise OSError(95, "Operation not supported")
fcntl.flock = flock
"""


@pytest.mark.parametrize(
    ("before", "requests"),
    [
        pytest.param("", 1, id="with a lock that works"),
        pytest.param(LYING_LOCK, 8, id="with a lock that lies"),
        pytest.param(NO_LOCK, 8, id="without locks"),
    ],
)
def test_eight_processes_fetch_one_blob(
    serve: Serve, blob: Blob, store: Cache, before: str, requests: int
) -> None:
    """All get it, whole. A lock that works saves all downloads but one; one that does not, nothing else."""
    together = 8 if requests == 8 else 1

    def answer(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=blob.size)
        exchange.send(blob.content[:1000])
        # Without locks nobody gets on before everybody has begun.
        while len(exchange.server.requests) < together:
            exchange.wait(0.01)
        exchange.send(blob.content[1000:])

    server = serve(answer)
    processes = [start(server, blob, store, before) for _ in range(8)]
    outs = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert {process.returncode for process in processes} == {0}
    assert set(outs) == {str(blob_path(store.root, blob.sha256))}
    assert blob_path(store.root, blob.sha256).read_bytes() == blob.content
    assert parts(store) == []
    assert len(server.requests) == requests


def test_a_process_that_holds_the_lock_and_does_nothing(
    serve: Serve, blob: Blob, store: Cache, quick: Patience
) -> None:
    """As one that was stopped: nobody waits for it for ever."""
    server = serve(lambda exchange: exchange.answer(blob.content))
    begin = time.monotonic()
    with turn(store, blob.sha256, has_come=lambda: False, stuck=1):
        path = fetch_blob(server.place(), blob.sha256, blob.size, store, patience=quick)
    assert path.read_bytes() == blob.content
    assert 0.5 < time.monotonic() - begin < 25


def test_a_process_that_gets_on_is_waited_for(blob: Blob, store: Cache, quick: Patience) -> None:
    """Longer than for one that does not."""
    partial = Partial(store, blob.sha256, blob.size)
    looks = []

    def has_come() -> bool:
        looks.append(time.monotonic())
        partial.write(b"x")
        return looks[-1] - looks[0] > 0.8

    with (
        turn(store, blob.sha256, has_come=lambda: False, stuck=1),
        turn(store, blob.sha256, has_come=has_come, stuck=0.3),
    ):
        pass
    partial.close()
    assert looks[-1] - looks[0] > 0.8


# Disks


def limited(size: int) -> Callable[[], None]:
    """What makes files of a process end at a size, as `ulimit -f` does."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_disk_that_becomes_full(serve: Serve, blob: Blob, store: Cache) -> None:
    """It is an error at once: nothing is tried again, nothing published, and the space is given back."""
    server = serve(lambda exchange: exchange.answer(blob.content))
    code, said = fetch_in_process(server, blob, store, preexec_fn=limited(2**20))
    assert code == 3
    assert said.startswith(
        f"FetchError: The cache {store.root} cannot be written to: File too large"
    )
    assert "ZOO_CACHE" in said
    assert len(server.requests) == 1
    assert store.find(blob.sha256) is None
    assert parts(store) == []


def test_a_disk_that_becomes_full_keeps_what_an_earlier_process_left(
    serve: Serve, blob: Blob, store: Cache
) -> None:
    """Only the copy goes."""
    store.partial_folder.mkdir(parents=True)
    left = store.partial_folder / f"{blob.sha256}.0123456789abcdef.part"
    left.write_bytes(blob.content[: 2**20])
    server = serve(lambda exchange: exchange.answer(blob.content))
    code, _ = fetch_in_process(server, blob, store, preexec_fn=limited(2**19))
    assert code == 3
    assert server.requests == []
    assert parts(store) == [left]
    code, _ = fetch_in_process(server, blob, store)
    assert code == 0
    assert server.sent == blob.size - 2**20


def test_a_disk_that_is_full_already(serve: Serve, store: Cache, quick: Patience) -> None:
    """Nothing is asked for; the message says how much is needed."""
    server = serve(lambda exchange: exchange.head(500))
    with pytest.raises(FetchError, match=r"1000000000000000000 bytes are needed and \d+ are free"):
        fetch_blob(server.place(), "0" * 64, 10**18, store, patience=quick)
    assert server.requests == []
    assert parts(store) == []


def test_a_cache_that_is_a_file(serve: Serve, blob: Blob, tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "file").write_bytes(b"")
    server = serve(lambda exchange: exchange.answer(blob.content))
    with pytest.raises(FetchError, match=f"The cache {tmp_path}/file cannot be written to"):
        fetch_blob(server.place(), blob.sha256, blob.size, Cache(tmp_path / "file"))
    assert server.requests == []


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
NOBODY = 65534


@pytest.fixture
def open_to_all(tmp_path: Path) -> Iterator[Path]:
    """A folder that every user reaches and may write to."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


AS_NOBODY = f"""
import encodings.idna, netrc, os
import zoo.store.connections  # this user's Python need not be readable for the other
os.umask(0o022)
os.setgid({NOBODY})
os.setuid({NOBODY})
"""


@as_root
def test_a_cache_that_is_read_only(serve: Serve, blob: Blob, open_to_all: Path) -> None:
    """What it has is found; what it lacks is an error that says what to do, before anything is asked for."""
    store = Cache(open_to_all / "cache")
    server = serve(lambda exchange: exchange.answer(blob.content))
    fetch_blob(server.place(), blob.sha256, blob.size, store)
    assert fetch_in_process(server, blob, store, AS_NOBODY)[0] == 0
    blob_path(store.root, blob.sha256).unlink()
    code, said = fetch_in_process(server, blob, store, AS_NOBODY)
    assert code == 3
    assert "cannot be written to: Permission denied" in said
    assert "ZOO_CACHE_READ" in said
    assert len(server.requests) == 1


@as_root
def test_a_shared_cache_of_two_users(serve: Serve, blob: Blob, open_to_all: Path) -> None:
    """Each reads what the other fetched and begins with what the other left; neither can change a blob."""
    store = Cache(open_to_all)
    for folder in (store.partial_folder, blob_path(store.root, blob.sha256).parent):
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    left = store.partial_folder / f"{blob.sha256}.0123456789abcdef.part"
    left.write_bytes(blob.content[: 2**20])
    left.chmod(0o444)
    (store.partial_folder / f"{blob.sha256}.lock").touch(0o600)  # of the other one alone
    server = serve(lambda exchange: exchange.answer(blob.content))
    code, said = fetch_in_process(server, blob, store, AS_NOBODY)
    assert (code, said) == (0, str(blob_path(store.root, blob.sha256)))
    found = blob_path(store.root, blob.sha256).stat()
    assert (found.st_uid, found.st_mode & 0o777) == (NOBODY, 0o444)
    assert server.sent == blob.size - 2**20
    assert fetch_blob(server.place(), blob.sha256, blob.size, store).read_bytes() == blob.content
    assert len(server.requests) == 1


# Files that somebody planted


@pytest.mark.parametrize("planted", ["a link", "a link to nowhere", "a link to the right bytes"])
def test_a_symlink_planted_in_place_of_a_blob(
    serve: Serve, blob: Blob, store: Cache, quick: Patience, tmp_path: Path, planted: str
) -> None:
    """It is not followed, neither to read nor to write; the blob takes its place."""
    victim = tmp_path / "victim"
    before = blob.content if planted == "a link to the right bytes" else b"x" * blob.size
    if planted != "a link to nowhere":
        victim.write_bytes(before)
    path = blob_path(store.root, blob.sha256)
    path.parent.mkdir(parents=True)
    path.symlink_to(victim)
    assert store.find(blob.sha256) is None
    server = serve(lambda exchange: exchange.answer(blob.content))
    assert fetch_blob(server.place(), blob.sha256, blob.size, store, patience=quick) == path
    assert not path.is_symlink()
    assert path.read_bytes() == blob.content
    assert not victim.exists() or victim.read_bytes() == before


def plant_link(path: Path, victim: Path) -> None:
    """A symbolic link."""
    path.symlink_to(victim)


def plant_pipe(path: Path, victim: Path) -> None:
    """A pipe, which whoever opens it waits at."""
    os.mkfifo(path)


def plant_folder(path: Path, victim: Path) -> None:
    """A folder."""
    path.mkdir()


@pytest.mark.parametrize("suffix", [".0123456789abcdef.part", ".lock"])
@pytest.mark.parametrize("plant", [plant_link, plant_pipe, plant_folder])
def test_something_planted_among_the_unfinished_files(
    serve: Serve,
    blob: Blob,
    store: Cache,
    quick: Patience,
    tmp_path: Path,
    plant: Callable[[Path, Path], None],
    suffix: str,
) -> None:
    """It is neither followed nor waited for."""
    victim = tmp_path / "victim"
    victim.write_bytes(blob.content[: 2**20])
    store.partial_folder.mkdir(parents=True)
    plant(store.partial_folder / f"{blob.sha256}{suffix}", victim)
    server = serve(lambda exchange: exchange.answer(blob.content))
    path = fetch_blob(server.place(), blob.sha256, blob.size, store, patience=quick)
    assert path.read_bytes() == blob.content
    assert server.sent == blob.size
    assert victim.read_bytes() == blob.content[: 2**20]


def test_a_blob_of_another_size_in_the_cache(
    serve: Serve, blob: Blob, store: Cache, quick: Patience
) -> None:
    """As an editor or a disk error leaves it: it is fetched anew, although nobody may write to it."""
    path = blob_path(store.root, blob.sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(blob.content[:-1])
    path.chmod(0o444)
    server = serve(lambda exchange: exchange.answer(blob.content))
    fetch_blob(server.place(), blob.sha256, blob.size, store, patience=quick)
    assert path.read_bytes() == blob.content


# Clocks


@pytest.mark.parametrize("wrong", [0.0, 4e9], ids=["1970", "2096"])
def test_a_clock_that_is_wrong(
    serve: Serve,
    blob: Blob,
    store: Cache,
    quick: Patience,
    wrong: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Waiting, resuming and deleting what is old do not go by it in a way that loses anything."""
    monkeypatch.setattr(time, "time", lambda: wrong)

    def half(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(200, Content_Length=blob.size)
            exchange.send(blob.content[: blob.size // 2])
        elif exchange.number == 2:
            exchange.head(429, Retry_After=1)
        else:
            exchange.answer(blob.content)

    server = serve(half)
    path = fetch_blob(server.place(), blob.sha256, blob.size, store, patience=quick)
    assert path.read_bytes() == blob.content
    assert server.requests[2].start == blob.size // 2


def test_a_file_deleted_while_it_is_written(
    serve: Serve, blob: Blob, store: Cache, quick: Patience
) -> None:
    """As by another process whose clock is years ahead: no byte is fetched twice."""

    def answer(exchange: Exchange) -> None:
        for path in parts(store):
            path.unlink()
        exchange.answer(blob.content)

    server = serve(answer)
    path = fetch_blob(server.place(), blob.sha256, blob.size, store, patience=quick)
    assert path.read_bytes() == blob.content
    assert path.stat().st_mode & 0o777 == 0o444
    assert len(server.requests) == 1


def test_a_file_deleted_while_another_process_finishes_the_blob(
    serve: Serve, blob: Blob, store: Cache, quick: Patience
) -> None:
    """Then that one's is as good."""

    def answer(exchange: Exchange) -> None:
        for path in parts(store):
            path.unlink()
        other = blob_path(store.root, blob.sha256)
        other.parent.mkdir(parents=True)
        other.write_bytes(blob.content)
        exchange.answer(blob.content)

    path = fetch_blob(serve(answer).place(), blob.sha256, blob.size, store, patience=quick)
    assert path.read_bytes() == blob.content
    assert parts(store) == []


@pytest.mark.parametrize("age", [10, 3000, 4000, 10**6])
def test_unfinished_files_of_a_blob_that_is_there_go_by_their_age(
    serve: Serve, blob: Blob, store: Cache, quick: Patience, age: float
) -> None:
    """After an hour without a byte; never because their process seems to be gone."""
    store.partial_folder.mkdir(parents=True)
    left = store.partial_folder / f"{blob.sha256}.0123456789abcdef.part"
    left.write_bytes(blob.content[:100])
    os.utime(left, (time.time() - age,) * 2)
    server = serve(lambda exchange: exchange.answer(blob.content))
    fetch_blob(server.place(), blob.sha256, blob.size, store, patience=quick)
    assert left.exists() == (age < 3600)


# The network, switched off


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_offline_opens_no_socket(
    serve: Serve, blob: Blob, store: Cache, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is cached is found; what is not is an error. Neither asks anybody."""
    server = serve(lambda exchange: exchange.answer(blob.content))
    monkeypatch.setenv("ZOO_OFFLINE", value)
    before = set(sys.modules)
    with pytest.raises(Offline, match=f"sha256:{blob.sha256} is not cached, and ZOO_OFFLINE"):
        fetch_blob(server.place(), blob.sha256, blob.size, store)
    with pytest.raises(Offline, match=r"registry.yaml is not cached, and ZOO_OFFLINE"):
        fetch_bytes(server.place(), "registry.yaml", limit=100)
    with pytest.raises(Offline, match="ZOO_OFFLINE forbids the network"):
        server.place().open("registry.yaml")
    assert server.requests == []
    assert not {name for name in set(sys.modules) - before if name.startswith("urllib3")}
    assert not store.root.exists()
    monkeypatch.delenv("ZOO_OFFLINE")
    path = fetch_blob(server.place(), blob.sha256, blob.size, store)
    monkeypatch.setenv("ZOO_OFFLINE", value)
    assert fetch_blob(server.place(), blob.sha256, blob.size, store) == path
    assert len(server.requests) == 1


# Memory and permissions


def test_memory_does_not_grow_with_the_file(serve: Serve, store: Cache, tmp_path: Path) -> None:
    """Of 128 MiB, less than 48 are in memory at once, also where they are resumed."""
    import hashlib

    piece, count = os.urandom(2**20), 128
    digest = hashlib.sha256()
    for _ in range(count):
        digest.update(piece)

    def answer(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=count * 2**20)
        for _ in range(count if exchange.number > 1 else count // 2):
            exchange.send(piece)

    big = type("Big", (), {"sha256": digest.hexdigest(), "size": count * 2**20})
    report = """
import atexit, re
import urllib3, zoo.store.connections
def most():
    return int(re.search(r"VmHWM:\\s*([0-9]+)", Path("/proc/self/status").read_text())[1])
before = most()
atexit.register(lambda: print(most() - before))
"""
    code, said = fetch_in_process(serve(answer), big, store, report)
    assert code == 0
    assert 0 < int(said.split()[-1]) < 48 * 1024


def test_looking_up_writes_nothing(blob: Blob, store: Cache) -> None:
    """Not even the folder."""
    assert store.find(blob.sha256) is None
    assert list(store.blobs()) == []
    assert list(store.damaged()) == []
    assert not store.root.exists()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o444), (0o077, 0o400)])
def test_blobs_are_read_only(serve: Serve, blob: Blob, store: Cache, umask: int, mode: int) -> None:
    """Of that the umask takes its share."""
    server = serve(lambda exchange: exchange.answer(blob.content))
    before = os.umask(umask)
    try:
        path = fetch_blob(server.place(), blob.sha256, blob.size, store)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_failure_after_the_last_byte_keeps_all(
    serve: Serve, blob: Blob, store: Cache, quick: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that keeps losing its name is an error in the end, and the next process needs no byte."""
    server = serve(lambda exchange: exchange.answer(blob.content))

    def lost(self: Partial) -> Path:
        raise Unavailable("it was deleted meanwhile.")

    with monkeypatch.context() as patch:
        patch.setattr(partials.Partial, "finish", lost)
        with pytest.raises(Unavailable, match="Tried 3 times"):
            fetch_blob(server.place(), blob.sha256, blob.size, store, patience=quick)
    fetch_blob(server.place(), blob.sha256, blob.size, store, patience=quick)
    assert server.sent == blob.size

"""SIGKILL at any moment of download, save, publish, index build and prune.

After each kill nothing wrong is published and nothing is lost, and the next try succeeds. Moments are chosen by
chance over the time that the job takes, in loops of few rounds, and of 60 by `pytest -m slow`; and one by one, before
each operation on a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

import zoo
from zoo.registry.index import open_index
from zoo.registry.seen import RolledBack
from zoo.store.cache import default_cache, file_digest

Serve = Callable[..., Any]  # of conftest.py, which cannot be imported

loops = pytest.mark.parametrize("rounds", [3, pytest.param(60, marks=pytest.mark.slow)])


class Nursery:
    """A process that forks a child for each job; see `jobs_to_kill.py`."""

    def __init__(self) -> None:
        program = Path(__file__).with_name("jobs_to_kill.py")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, job: str, cache: Path, **arguments: Any) -> int:
        """Do a job, and return how its process ended: 0, 1, or minus a signal."""
        return self._ask(wait=self._start(job, cache, arguments))

    def kill(self, job: str, cache: Path, after: float, **arguments: Any) -> int:
        """Begin with a job, kill its process after some seconds, and return how it ended."""
        process = self._start(job, cache, arguments)
        time.sleep(after)
        # It has not been waited for, so the number is still its own.
        os.kill(process, signal.SIGKILL)
        return self._ask(wait=process)

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()

    def _start(self, job: str, cache: Path, arguments: dict[str, Any]) -> int:
        return self._ask(job=job, cache=str(cache), **arguments)

    def _ask(self, **line: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """The process that forks."""
    one = Nursery()
    yield one
    one.stop()


class Job(Protocol):
    """A job to be killed, and what has to hold afterwards."""

    name: str

    def begin(self) -> dict[str, Any]:
        """Make ready for the job to be done anew, and return its arguments."""

    def check(self) -> None:
        """See that nothing wrong is there, and nothing lost."""

    def check_done(self) -> None:
        """See that the job is done."""


class Download(Job):
    """Fetching a blob from a web server."""

    name = "download"

    def __init__(self, serve: Serve, blob: Any) -> None:
        self._blob, self._store = blob, default_cache()
        self._server = serve(lambda exchange: exchange.answer(blob.content))

    def begin(self) -> dict[str, Any]:
        """The blob is not cached; a part of it may be."""
        self._store.remove(self._blob.sha256)
        if random.random() < 0.3:  # otherwise it resumes
            for left in self._store.partial_folder.glob("*.part"):
                left.unlink()
        return {
            "address": self._server.address,
            "sha256": self._blob.sha256,
            "size": self._blob.size,
        }

    def check(self) -> None:
        """No blob is damaged."""
        assert list(self._store.damaged()) == []

    def check_done(self) -> None:
        """The blob is there."""
        path = self._store.find(self._blob.sha256)
        assert path is not None
        assert path.read_bytes() == self._blob.content


class Refresh(Job):
    """Fetching the index of a registry that was published to meanwhile."""

    name = "refresh"

    def __init__(self, serve: Serve, spec: dict[str, Any]) -> None:
        self._spec, self._serial = spec, 1
        self._server = serve(lambda exchange: exchange.answer(self._index(self._serial)))
        zoo.Registry(self._server.address, name="team").refresh()

    def begin(self) -> dict[str, Any]:
        """A version more is published."""
        self._serial += 1
        return {"address": self._server.address}

    def check(self) -> None:
        """The index at hand is the old or the new one, whole."""
        index = zoo.Registry(self._server.address, name="team").cached_index()
        assert index is not None
        assert index.serial in (self._serial - 1, self._serial)
        assert len(list(index.listings())) == index.serial

    def check_done(self) -> None:
        """It is the new one, and the old one is refused from now on."""
        registry = zoo.Registry(self._server.address, name="team")
        assert registry.known_index().serial == self._serial
        self._serial -= 1
        with pytest.raises(RolledBack, match="went back"):
            registry.refresh()
        self._serial += 1

    def _index(self, serial: int) -> bytes:
        versions = {f"1.{number}.0": {"spec": self._spec} for number in range(serial)}
        variants = {"a_net": {"summary": "", "versions": versions}}
        data = {"schema": 1, "id": "tests", "serial": serial, "variants": variants}
        return json.dumps(data).encode()


class IndexBuild(Job):
    """Compiling the index of a registry in a folder."""

    name = "build_index"

    def __init__(self, spec: dict[str, Any], folder: Path, cache: Path) -> None:
        versions = {"1.0.0": {"spec": spec}, "1.1.0": {"spec": spec}}
        variants = {f"net{number}": {"summary": "", "versions": versions} for number in range(60)}
        data = {"schema": 1, "id": "tests", "serial": 1, "variants": variants}
        self._file, self._cache = folder / "registry.yaml", cache / "index"
        self._file.write_text(json.dumps(data))
        self._right = sorted(variants)

    def begin(self) -> dict[str, Any]:
        """There is no index."""
        for kept in self._kept():
            kept.unlink()
        return {"file": str(self._file)}

    def check(self) -> None:
        """One that is there is whole, although nobody mended it."""
        for kept in self._kept():
            assert self._names() == self._right, kept

    def check_done(self) -> None:
        """There is one."""
        assert len(self._kept()) == 1
        assert self._names() == self._right

    def _names(self) -> list[str]:
        index = open_index(self._file, self._cache)
        assert len(list(index.listings())) == 2 * len(self._right)
        return index.names()

    def _kept(self) -> list[Path]:
        return list(self._cache.parent.glob("index-*/*.sqlite"))


class Prune(Job):
    """Deleting what nobody used for a day."""

    name = "prune"

    def __init__(self) -> None:
        self._store = default_cache()
        self._young = self._add(b"young", age=3600)

    def begin(self) -> dict[str, Any]:
        """There are old blobs."""
        self._old = self._add(b"old", age=7 * 86400)
        return {"older": 86400.0}

    def check(self) -> None:
        """Nothing but old blobs is gone."""
        there = {blob.sha256: blob.path for blob in self._store.blobs()}
        assert self._young <= set(there) <= self._young | self._old
        for sha256 in self._young:  # to read an old one would be to use it
            assert file_digest(there[sha256]) == sha256

    def check_done(self) -> None:
        """They all are."""
        assert {blob.sha256 for blob in self._store.blobs()} == self._young

    def _add(self, what: bytes, *, age: float) -> set[str]:
        """Put forty blobs into the cache, last used so many seconds ago."""
        added = set()
        used = time.time() - age
        for number in range(40):
            content = b"%s %d" % (what, number)
            sha256 = hashlib.sha256(content).hexdigest()
            path = self._store.root / "blobs" / "sha256" / sha256[:2] / sha256
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, (used, used))
            added.add(sha256)
        return added


class Save(Job):
    """Saving a model over an older one."""

    name = "save"

    def __init__(self, spec: dict[str, Any], folder: Path) -> None:
        self._spec = {**spec, "backbone": {**spec["backbone"], "widths": [32, 64]}}
        self._file = folder / "model.safetensors"
        self._value, self._before = 0.0, b""
        self._right = {value: self._saved(value, folder / "right") for value in (0.0, 1.0)}
        self._file.write_bytes(self._right[0.0])

    def begin(self) -> dict[str, Any]:
        """The file is to change its value."""
        self._before = self._file.read_bytes()
        self._value = 1.0 - self._value
        return {"spec": self._spec, "value": self._value, "file": str(self._file)}

    def check(self) -> None:
        """The file is whole, whatever its value."""
        assert self._file.read_bytes() in (self._before, self._right[self._value])

    def check_done(self) -> None:
        """The file has its new value."""
        assert self._file.read_bytes() == self._right[self._value]

    def _saved(self, value: float, file: Path) -> bytes:
        import torch

        model = zoo.compose(zoo.Spec.from_data(self._spec))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(value)
        return zoo.save(model, file).read_bytes()


class Publish(Job):
    """Publishing one version after another to a folder."""

    name = "publish"

    def __init__(self, spec: dict[str, Any], folder: Path) -> None:
        import torch

        self._root = folder / "our_zoo"
        self._number = 0
        self._files = []
        self._published: dict[str, str] = {}  # the digest of each version
        for value in range(3):
            model = zoo.compose(zoo.Spec.from_data(spec))
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.fill_(value)
            self._files.append(zoo.save(model, folder / f"model{value}.safetensors"))

    def begin(self) -> dict[str, Any]:
        """Another version is due."""
        self._number += 1
        return {"file": str(self._file), "registry": str(self._root), "version": self._version}

    def check(self) -> None:
        """All versions are there that were, and their blobs are whole."""
        now = self._listed()
        assert now.items() >= self._published.items()
        assert set(now) - set(self._published) <= {self._version}
        for blob in self._root.glob("blobs/sha256/*/[0-9a-f]*"):
            assert file_digest(blob) == blob.name

    def check_done(self) -> None:
        """So is the new one."""
        self._published[self._version] = file_digest(self._file)
        self.check()
        assert self._listed() == self._published

    @property
    def _version(self) -> str:
        return f"1.{self._number}.0"

    @property
    def _file(self) -> Path:
        return self._files[self._number % 3]

    def _listed(self) -> dict[str, str]:
        if not (self._root / "registry.yaml").is_file():
            return {}
        registry = zoo.Registry(self._root)
        listings = list(registry.index.listings())
        assert registry.serial == len(listings)
        for one in listings:
            assert one.sha256 is not None
            assert registry.blob(one.sha256).is_file()
        return {str(one.number): one.sha256 for one in listings}


def try_again(nursery: Nursery, job: Job, arguments: dict[str, Any], cache: Path) -> None:
    """See that all is well after a kill, and that the next try succeeds."""
    job.check()
    ended = nursery.run(job.name, cache, **arguments)
    # A version that was published right before the kill cannot be published again.
    assert ended == 0 or (job.name == "publish" and ended == 1)
    job.check_done()


def kill_at_random(nursery: Nursery, job: Job, rounds: int, cache: Path) -> None:
    """Kill the job `rounds` times, at moments chosen by chance, and try again each time."""
    for _ in range(2):  # the first one waits for imports
        arguments = job.begin()
        begin = time.monotonic()
        assert nursery.run(job.name, cache, **arguments) == 0
        longest = time.monotonic() - begin
        job.check_done()
    killed = 0
    for _ in range(20 * rounds):  # some end before their moment
        arguments = job.begin()
        ended = nursery.kill(job.name, cache, random.uniform(0, longest), **arguments)
        assert ended in (0, -signal.SIGKILL)
        killed += ended != 0
        longest *= 0.9 if ended == 0 else 1.05  # as long as the job takes, about
        try_again(nursery, job, arguments, cache)
        if killed == rounds:
            return
    raise AssertionError(f"of {20 * rounds} it was killed {killed} times: it ends too early")


def kill_before_each_operation(nursery: Nursery, job: Job, folder: Path, cache: Path) -> int:
    """Let the job kill itself before its first operation on a file, its second ..., and try again each time.

    Returns:
        How often it was killed.
    """
    for number in range(1, 1000):
        arguments = job.begin()
        ended = nursery.run(job.name, cache, **arguments, fatal=number, within=str(folder))
        if ended == 0:
            job.check_done()
            return number - 1
        assert ended == -signal.SIGKILL
        try_again(nursery, job, arguments, cache)
    raise AssertionError("it has no end")


@loops
def test_sigkill_during_download(
    nursery: Nursery, serve: Serve, blob: Any, cache: Path, rounds: int
) -> None:
    """What is in the cache under a digest is that blob, and the next process gets it."""
    kill_at_random(nursery, Download(serve, blob), rounds, cache)


@loops
def test_sigkill_during_refresh(
    nursery: Nursery, serve: Serve, small_spec: dict[str, Any], cache: Path, rounds: int
) -> None:
    """The index is the old or the new one, and no older one is taken once the new one was."""
    kill_at_random(nursery, Refresh(serve, small_spec), rounds, cache)


@loops
def test_sigkill_during_index_build(
    nursery: Nursery, small_spec: dict[str, Any], tmp_path: Path, cache: Path, rounds: int
) -> None:
    """There is no half of an index, and the next process makes it whole."""
    kill_at_random(nursery, IndexBuild(small_spec, tmp_path, cache), rounds, cache)


@loops
def test_sigkill_during_prune(nursery: Nursery, cache: Path, rounds: int) -> None:
    """What was used lately stays, whole, and the next process deletes the rest."""
    kill_at_random(nursery, Prune(), rounds, cache)


@loops
def test_sigkill_during_save(
    nursery: Nursery, small_spec: dict[str, Any], tmp_path: Path, cache: Path, rounds: int
) -> None:
    """The file is the old or the new one, whole."""
    kill_at_random(nursery, Save(small_spec, tmp_path), rounds, cache)


@loops
def test_sigkill_during_publish(
    nursery: Nursery, small_spec: dict[str, Any], tmp_path: Path, cache: Path, rounds: int
) -> None:
    """Every version that the index names is there, whole; none that was published is lost."""
    kill_at_random(nursery, Publish(small_spec, tmp_path), rounds, cache)


@pytest.mark.slow
def test_sigkill_before_each_file_operation_of_download(
    nursery: Nursery, serve: Serve, blob: Any, tmp_path: Path, cache: Path
) -> None:
    """As above, at each moment that can matter."""
    job = Download(serve, blob)
    assert kill_before_each_operation(nursery, job, tmp_path, cache) >= 4


@pytest.mark.slow
def test_sigkill_before_each_file_operation_of_refresh(
    nursery: Nursery, serve: Serve, small_spec: dict[str, Any], tmp_path: Path, cache: Path
) -> None:
    """As above, at each moment that can matter."""
    job = Refresh(serve, small_spec)
    assert kill_before_each_operation(nursery, job, tmp_path, cache) >= 4


@pytest.mark.slow
def test_sigkill_before_each_file_operation_of_index_build(
    nursery: Nursery, small_spec: dict[str, Any], tmp_path: Path, cache: Path
) -> None:
    """As above, at each moment that can matter."""
    job = IndexBuild(small_spec, tmp_path, cache)
    assert kill_before_each_operation(nursery, job, tmp_path, cache) >= 4


@pytest.mark.slow
def test_sigkill_before_each_file_operation_of_prune(
    nursery: Nursery, tmp_path: Path, cache: Path
) -> None:
    """As above, at each moment that can matter."""
    assert kill_before_each_operation(nursery, Prune(), tmp_path, cache) >= 40


@pytest.mark.slow
def test_sigkill_before_each_file_operation_of_save(
    nursery: Nursery, small_spec: dict[str, Any], tmp_path: Path, cache: Path
) -> None:
    """As above, at each moment that can matter."""
    job = Save(small_spec, tmp_path)
    assert kill_before_each_operation(nursery, job, tmp_path, cache) >= 4


@pytest.mark.slow
def test_sigkill_before_each_file_operation_of_publish(
    nursery: Nursery, small_spec: dict[str, Any], tmp_path: Path, cache: Path
) -> None:
    """As above, at each moment that can matter."""
    job = Publish(small_spec, tmp_path)
    assert kill_before_each_operation(nursery, job, tmp_path, cache) >= 8

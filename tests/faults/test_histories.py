"""Any order of what publishers, users, machines and attackers do, chosen by hypothesis.

Whatever happened before, what a user gets hashes to its ref and is what that version was the first time; an index
that goes back is refused, and so is a version that changed; offline nobody is asked; and nothing that was
published is lost. A kill is simulated: at the n-th operation on a file an exception is raised, and from then on by each further
one, so that nothing is cleaned up. `test_kills.py` has real ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import zoo
from zoo import FetchError, RegistryError, UnknownName, WeightsError
from zoo.errors import Offline
from zoo.finding import find
from zoo.obtaining import read_weights
from zoo.registry.editing import change_index
from zoo.registry.publishing import write_blob
from zoo.registry.remote import prune_indices
from zoo.registry.seen import RolledBack
from zoo.serving import MirrorServer
from zoo.store import blob_path, folder
from zoo.store.cache import default_cache
from zoo.store.folder import FolderPlace

SPEC = {
    "input": {"kind": "image", "channels": 3, "size": [8, 8]},
    "backbone": {"name": "attn_cnn"},
    "output": {"labels": ["cat", "dog"]},
}
FATAL = ("replace", "link", "fsync", "unlink", "mkdir")
YEAR = 365 * 86400.0
moments = st.integers(0, 12)
contents = st.binary(max_size=50).map(b"weights".__add__)  # never a web page


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def killed_at(moment: int) -> Iterator[None]:
    """Let the operation on a file with that number fail, and all later ones; the end may come before."""
    left = moment

    def dying(operation: Callable[..., Any]) -> Callable[..., Any]:
        def operate(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return operation(*arguments, **options)

        return operate

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in FATAL:
            patch.setattr(os, name, dying(getattr(os, name)))
        try:
            yield
        except Killed:
            pass
        except (RegistryError, FetchError, UnknownName, WeightsError):
            pass  # it was refused before it could be killed


class Histories(RuleBasedStateMachine):
    """A publisher with a folder, a mirror of it on the web, and a user with a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.root = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.patch = self.stack.enter_context(pytest.MonkeyPatch.context())
        self.patch.setenv("ZOO_CACHE", str(self.root / "cache"))
        self.patch.setenv("ZOO_CONFIG", str(self.root / "registries.yaml"))
        self.patch.setattr(folder, "_LONGEST_CLAIM", 0.05)  # nobody waits for one who was killed
        self.publisher = self.root / "published"
        self.base = str(self.publisher)
        self.place = FolderPlace(self.base)
        self.index = self.publisher / "registry.yaml"
        self.contents: dict[str, bytes] = {}  # of each version that was published
        self.snapshots: list[bytes] = []  # of the index, one for each serial
        self.known: dict[str, str] = {}  # digests that the user got, of each version
        self.surely_seen = 0  # the serial of an index that the user has taken
        self.is_offline = False
        self.requests: list[str] = []

    def teardown(self) -> None:
        """Stop the server, and delete the files."""
        self.stack.close()

    @initialize()
    def begin(self) -> None:
        """Publish a first version, and serve the folder."""
        self.publish(b"first")
        server = MirrorServer(self.publisher, "127.0.0.1", 0, log=self.requests.append)
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        self.url = server.url
        for end in (server.server_close, thread.join, server.shutdown):
            self.stack.callback(end)

    # What the publisher does

    def honest(self) -> bool:
        """Whether the index that is served is the publisher's newest."""
        return self.index.read_bytes() == self.snapshots[-1]

    @precondition(honest)
    @rule(content=contents)
    def publish(self, content: bytes) -> None:
        """Publish the next version."""
        number = f"1.{len(self.contents)}.0"
        self._write(number, content)
        self._take_note(number, content)

    @precondition(honest)
    @rule(content=contents, moment=moments)
    def publish_and_be_killed(self, content: bytes, moment: int) -> None:
        """Begin to publish; afterwards the version is there, whole, or it is not."""
        number = f"1.{len(self.contents)}.0"
        with killed_at(moment):
            self._write(number, content)
        if not self.honest():
            self._take_note(number, content)

    @precondition(honest)
    @rule(which=st.randoms(use_true_random=False), reason=st.sampled_from(["", "wrong", "worse"]))
    def yank(self, which: random.Random, reason: str) -> None:
        """Withdraw a version, or take that back."""
        number = which.choice(list(self.contents))

        def edit(data: dict[str, Any]) -> None:
            data["variants"]["a_net"]["versions"][number]["status"] = (
                {"yanked": reason} if reason else {}
            )

        change_index(self.place, self.base, edit)
        self.snapshots.append(self.index.read_bytes())

    # What an attacker does, who can write where the registry lies

    @precondition(honest)
    @rule(which=st.randoms(use_true_random=False))
    def roll_back(self, which: random.Random) -> None:
        """Serve an older index to one who may have seen the newest."""
        self.refresh()
        self._serve(which.choice(self.snapshots))
        self.refresh()

    @precondition(honest)
    @rule(which=st.randoms(use_true_random=False))
    def forge(self, which: random.Random) -> None:
        """Serve an index in which a version has other bytes, to one who may have used that version."""
        number = which.choice(list(self.contents))
        self._try(f"team/a_net@{number}")
        content = self.contents[number] + b", forged"
        sha256 = hashlib.sha256(content).hexdigest()
        write_blob(self.place, sha256, content, self.base)

        def edit(data: dict[str, Any]) -> None:
            entry = data["variants"]["a_net"]["versions"][number]
            entry["weights"] = {"sha256": sha256, "size": len(content)}

        change_index(self.place, self.base, edit)
        self.refresh()
        self._try(f"team/a_net@{number}")

    @precondition(lambda self: not self.honest())
    @rule()
    def mend(self) -> None:
        """Serve what was published, as another step forward where somebody went ahead."""
        ahead = self._serial(self.index.read_bytes())
        if ahead > self._serial(self.snapshots[-1]):
            wrong = self.snapshots[-1]
            right = wrong.replace(
                b"serial: %d\n" % self._serial(wrong), b"serial: %d\n" % (ahead + 1), 1
            )
            self.snapshots.append(right)
        self._serve(self.snapshots[-1])

    # What happens to the user's machine

    @rule(jump=st.sampled_from([-40 * YEAR, -YEAR, -3600.0, 0.0, 3600.0, 2 * 86400.0, 40 * YEAR]))
    def set_clock(self, jump: float) -> None:
        """Set the clock wrong, or right."""
        true = time.monotonic
        since = time.time() - true() if not hasattr(self, "_since") else self._since
        self._since = since
        self.patch.setattr(time, "time", lambda: true() + since + jump)

    @rule(offline=st.booleans())
    def switch_network(self, offline: bool) -> None:
        """Switch the network off or on."""
        self.is_offline = offline
        self.patch.setenv("ZOO_OFFLINE", "1" if offline else "")

    @rule(which=st.randoms(use_true_random=False), how=st.sampled_from(["flip", "cut", "link"]))
    def corrupt(self, which: random.Random, how: str) -> None:
        """Change a blob in the cache behind its back, and ask for it."""
        if not self.known:
            self.fetch(which, exactly=False)
        if not self.known:
            return
        number, sha256 = which.choice(sorted(self.known.items()))
        path = default_cache().find(sha256)
        if path is not None:
            content = bytearray(path.read_bytes())
            path.unlink()
            if how == "link":
                path.symlink_to(self.root / "elsewhere")
                (self.root / "elsewhere").write_bytes(content)
            else:
                content[-1] ^= 1
                path.write_bytes(content[: -1 if how == "cut" else None])
        self._try(f"team/a_net@{number}")

    @rule()
    def corrupt_index(self) -> None:
        """Fill the index in the cache with zeros, as a disk may leave it."""
        for file in (self.root / "cache").glob("registries-*/*.yaml"):
            file.write_bytes(bytes(file.stat().st_size))

    @rule(older=st.sampled_from([0.0, 30 * 86400.0]))
    def prune(self, older: float) -> None:
        """Delete what was not used for some time."""
        default_cache().prune(older)
        prune_indices(self.root / "cache", older)

    # What the user does

    @rule()
    def refresh(self) -> None:
        """Fetch the index anew: refused if it goes back, or the network is off, and for no other reason."""
        serial = self._serial(self.index.read_bytes())
        with self._as_user():
            try:
                self._registry().refresh()
            except Offline:
                assert self.is_offline
            except RolledBack:
                assert serial < self.surely_seen
            else:
                assert not self.is_offline
                assert serial >= self.surely_seen
                self.surely_seen = serial

    @rule(moment=moments)
    def refresh_and_be_killed(self, moment: int) -> None:
        """Begin to fetch the index."""
        with killed_at(moment), self._as_user():
            self._registry().refresh()
        # What was remembered is known only by asking.
        with self._as_user():
            index = self._registry().cached_index()
        self.surely_seen = max(self.surely_seen, index.serial if index is not None else 0)

    @rule(which=st.randoms(use_true_random=False), exactly=st.booleans())
    def fetch(self, which: random.Random, exactly: bool) -> None:
        """Ask for a version: what comes is what its ref says, and what it was before."""
        number = which.choice(list(self.contents))
        self._try(f"team/a_net@{number}" if exactly else "team/a_net")

    @rule(which=st.randoms(use_true_random=False), moment=moments)
    def fetch_and_be_killed(self, which: random.Random, moment: int) -> None:
        """Begin to ask for a version."""
        number = which.choice(list(self.contents))
        with killed_at(moment), self._as_user():
            self._get(f"team/a_net@{number}")
        with self._as_user():
            self._look_at_serial()

    @precondition(lambda self: self.honest() and not self.is_offline)
    @rule()
    def fetch_all(self) -> None:
        """Where nothing is in the way, every version is had, whatever happened before."""
        if self._serial(self.index.read_bytes()) < self.surely_seen:
            return
        self.refresh()
        with self._as_user():
            for number, content in self.contents.items():
                sha256 = hashlib.sha256(content).hexdigest()
                if self.known.get(number, sha256) != sha256:
                    # The forged one was the first that the user saw: now the right one is refused.
                    with pytest.raises(RolledBack, match="A version never changes"):
                        self._get(f"team/a_net@{number}")
                else:
                    assert self._get(f"team/a_net@{number}") == content

    # What always holds

    @invariant()
    def nothing_published_is_lost(self) -> None:
        """Each blob that was published is where it was, whole."""
        for content in self.contents.values():
            sha256 = hashlib.sha256(content).hexdigest()
            assert blob_path(self.publisher, sha256).read_bytes() == content

    def _try(self, ref: str) -> None:
        """Ask for a version, which fails for good reasons alone."""
        with self._as_user():
            try:
                self._get(ref)
            except RolledBack:
                assert not self.honest() or self._was_deceived()
            except Offline:
                assert self.is_offline
            except UnknownName:
                # It was published a moment ago, or all versions are withdrawn, or the index went back.
                pass
            except WeightsError:
                assert self.is_offline  # it is damaged, and nobody can be asked
            self._look_at_serial()

    def _was_deceived(self) -> bool:
        """Whether the user has a forged index, or a forged version was the first that he saw: the right one is refused."""
        indices = (self.root / "cache").glob("registries-*/*.yaml")
        return any(index.read_bytes() not in self.snapshots for index in indices) or any(
            hashlib.sha256(self.contents[number]).hexdigest() != sha256
            for number, sha256 in self.known.items()
        )

    def _get(self, ref: str) -> bytes:
        """The bytes that a ref comes to, held to all that is known of it."""
        found = find(ref, registries=[self._registry()])
        content = bytes(read_weights(found))
        exact = found.version.ref
        sha256 = hashlib.sha256(content).hexdigest()
        assert sha256 == exact.sha256
        assert self.known.setdefault(str(exact.number), sha256) == sha256
        right = hashlib.sha256(self.contents[str(exact.number)]).hexdigest()
        assert sha256 == right or content == self.contents[str(exact.number)] + b", forged"
        return content

    def _look_at_serial(self) -> None:
        """Take note of what the user has taken on the way, which binds from then on."""
        for base, serial in self._remembered():
            assert base == self.url
            assert serial >= self.surely_seen
            self.surely_seen = serial
        for number, sha256 in self._remembered_versions():
            assert self.known.setdefault(number, sha256) == sha256

    def _registry(self) -> zoo.Registry:
        return zoo.Registry(self.url, name="team")

    @contextmanager
    def _as_user(self) -> Iterator[None]:
        """Nobody is asked while the network is off; warnings are for people."""
        before = len(self.requests)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
        if self.is_offline:
            assert len(self.requests) == before

    def _remembered(self) -> list[tuple[str, int]]:
        return self._ask("SELECT base, serial FROM places")

    def _remembered_versions(self) -> list[tuple[str, str]]:
        return self._ask("SELECT number, sha256 FROM versions")

    def _ask(self, query: str) -> list[Any]:
        import sqlite3
        from contextlib import closing

        files = list((self.root / "cache").glob("registries-*/seen.sqlite"))
        if not files:
            return []
        with closing(sqlite3.connect(files[0])) as connection:
            return connection.execute(query).fetchall()

    def _write(self, number: str, content: bytes) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        entry = {"spec": SPEC, "weights": {"sha256": sha256, "size": len(content)}}

        def edit(data: dict[str, Any]) -> None:
            variant = data["variants"].setdefault("a_net", {"summary": "", "versions": {}})
            variant["versions"][number] = json.loads(json.dumps(entry))

        write_blob(self.place, sha256, content, self.base)
        change_index(self.place, self.base, edit)

    def _take_note(self, number: str, content: bytes) -> None:
        self.contents[number] = content
        self.snapshots.append(self.index.read_bytes())

    def _serve(self, index: bytes) -> None:
        new = self.publisher / "new"
        new.write_bytes(index)
        new.replace(self.index)

    def _serial(self, index: bytes) -> int:
        return int(index.partition(b"serial: ")[2].split(b"\n")[0])


def play(examples: int, steps: int) -> None:
    """Try so many histories of so many steps."""
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_histories() -> None:
    """A few short ones."""
    play(10, 20)


@pytest.mark.slow
def test_long_histories() -> None:
    """Many, of fifty steps."""
    play(200, 50)

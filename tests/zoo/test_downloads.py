"""Having weights here: downloading, verifying, locking, syncing."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo import DigestMismatch, Registry, UnknownName, WeightsError
from zoo.registry.remote import RegistryWarning
from zoo.store import blob_path

MakeRegistry = Callable[..., Registry]
CONTENT = bytes(range(256)) * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def registry(make_registry: MakeRegistry) -> Registry:
    """A folder with a version, one without weights, and a second variant."""
    return make_registry(
        a_net={"1.0.0": {"blob": CONTENT}, "1.1.0": {}}, b_net={"2.0.0": {"blob": b"two"}}
    )


@pytest.fixture
def elsewhere(registry: Registry, serve: Callable[[Path], Any]) -> list[Registry]:
    """The same over a server."""
    assert registry.root is not None
    return [Registry(serve(registry.root).url, name="team")]


def damage(path: Path) -> None:
    """Flip a bit of a file that is read-only."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


def test_a_download_is_in_the_cache_and_progress_is_told(
    elsewhere: list[Registry], cache: Path
) -> None:
    """Up to the last byte; the second time nothing is fetched."""
    steps: list[tuple[int, int]] = []
    path = zoo.download(
        "a_net@1.0", registries=elsewhere, progress=lambda *step: steps.append(step)
    )
    assert path == blob_path(cache, SHA256)
    assert path.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    steps.clear()
    assert (
        zoo.download("a_net@1.0", registries=elsewhere, progress=lambda *s: steps.append(s)) == path
    )
    assert steps == []


def test_what_a_folder_has_is_not_copied(registry: Registry, cache: Path) -> None:
    """The file is the registry's."""
    assert zoo.download("a_net@1.0", registries=[registry]) == registry.blob(SHA256)
    assert not (cache / "blobs").exists()


def test_a_download_is_verified_also_where_it_was_here(
    registry: Registry, elsewhere: list[Registry]
) -> None:
    """A damaged copy is fetched anew; a damaged registry is an error."""
    path = zoo.download("a_net@1.0", registries=elsewhere)
    damage(path)
    with pytest.warns(
        RegistryWarning, match="Fetched anew: .*blobs.* is damaged: it has the sha256"
    ):
        assert zoo.download("a_net@1.0", registries=elsewhere).read_bytes() == CONTENT
    own = registry.blob(SHA256)
    assert own is not None
    damage(own)
    with pytest.raises(DigestMismatch, match="is damaged: it has the sha256"):
        zoo.download("a_net@1.0", registries=[registry])


def test_a_version_without_weights_is_no_download(registry: Registry) -> None:
    """The message says what can be done with it."""
    for use in (zoo.download, zoo.verify):
        with pytest.raises(WeightsError, match=r"a_net@1\.1\.0 has no weights"):
            use("a_net", registries=[registry])
    with pytest.raises(WeightsError, match=r"a_net@1\.1\.0 has no weights"):
        zoo.lock(["a_net"], registries=[registry])


def test_verifying_one_version_fetches_nothing(elsewhere: list[Registry], cache: Path) -> None:
    """What is not here cannot be verified."""
    with pytest.raises(
        WeightsError, match=r"not on this machine. Fetch them with `zoo get a_net@1"
    ):
        zoo.verify("a_net@1.0.0", registries=elsewhere)
    path = zoo.download("a_net@1.0.0", registries=elsewhere)
    assert zoo.verify("a_net@1.0.0", registries=elsewhere) == [(path, SHA256, "")]
    damage(path)
    (one,) = zoo.verify("a_net@1.0.0", registries=elsewhere)
    assert one.problem.startswith("has the sha256 ")
    path.unlink()
    path.write_bytes(CONTENT[:-1])
    (one,) = zoo.verify("a_net@1.0.0", registries=elsewhere)
    assert one.problem == "has 25599 bytes, published were 25600"


def test_verifying_everything_takes_the_cache_its_read_roots_and_every_folder(
    registry: Registry,
    elsewhere: list[Registry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And names what is damaged or missing; files that are no blobs are left alone."""
    cached = zoo.download("a_net@1.0", registries=elsewhere)
    (cached.parent / "README").write_text("no blob")
    theirs = blob_path(tmp_path / "theirs", SHA256)
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(CONTENT)
    monkeypatch.setenv("ZOO_CACHE_READ", str(tmp_path / "theirs"))
    registries = [registry, *elsewhere]
    own = [registry.blob(SHA256), registry.blob(hashlib.sha256(b"two").hexdigest())]
    done = zoo.verify(registries=registries)
    assert {one.path for one in done} == {cached, theirs, *own}
    assert {one.problem for one in done} == {""}
    for path in (cached, theirs):
        damage(path)
    assert own[0] is not None
    assert own[1] is not None
    own[1].unlink()
    problems = {one.path: one.problem for one in zoo.verify(registries=registries) if one.problem}
    assert set(problems) == {cached, theirs, own[1]}
    assert problems[own[1]] == "is missing"


def test_a_broken_registry_does_not_stop_verifying(registry: Registry, tmp_path: Path) -> None:
    """It is reported."""
    gone = Registry(tmp_path / "gone", name="gone")
    with pytest.warns(RegistryWarning, match=r"gone is left out: .*holds no registry\.yaml"):
        assert len(zoo.verify(registries=[gone, registry])) == 2


def test_a_lock_is_the_same_whatever_the_order(registry: Registry) -> None:
    """And is what refs come to now."""
    text = zoo.lock(["b_net", "a_net@1.0.0"], registries=[registry])
    assert text == zoo.lock(["a_net@1.0", "b_net@2", "b_net"], registries=[registry])
    assert f'"a_net", version: "1.0.0", sha256: "{SHA256}", size: 25600, registry: "tests"' in text
    with pytest.raises(UnknownName, match="No variant is called 'c_net'"):
        zoo.lock(["a_net@1.0", "c_net"], registries=[registry])


def test_a_sync_fetches_what_is_locked(
    elsewhere: list[Registry], tmp_path: Path, cache: Path
) -> None:
    """Each file once, verified."""
    (tmp_path / "zoo.lock").write_text(zoo.lock(["b_net", "a_net@1.0"], registries=elsewhere))
    assert not (cache / "blobs").exists()
    files = zoo.sync(tmp_path / "zoo.lock", registries=elsewhere)
    assert [file.read_bytes() for file in files] == [CONTENT, b"two"]
    damage(files[0])
    with pytest.warns(RegistryWarning, match="Fetched anew"):
        assert zoo.sync(tmp_path / "zoo.lock", registries=elsewhere) == files
    assert files[0].read_bytes() == CONTENT


@pytest.mark.parametrize("statement", ["zoo.download('a_net@1.0')", "zoo.verify()"])
def test_what_is_here_is_had_without_urllib3_and_torch(registry: Registry, statement: str) -> None:
    """Those take long to import."""
    zoo.add_registry("ours", registry.base)
    program = (
        f"import sys, zoo; {statement}; "
        "assert sys.modules.keys().isdisjoint({'urllib3', 'torch', 'tqdm'})"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

"""From a ref to verified bytes: without the network where that can be, and never other bytes than were meant."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo import DigestMismatch, Model, Offline, Registry, RegistryError, Spec, UnknownName
from zoo.registry.configured import write_configured
from zoo.registry.remote import RegistryWarning
from zoo.registry.resolving import YankedWarning
from zoo.registry.seen import RolledBack
from zoo.store import blob_path, patience
from zoo.weights import to_bytes

MakeRegistry = Callable[..., Registry]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is not tried again after a while."""
    monkeypatch.setattr(patience, "PATIENCE", patience.Patience(attempts=1, pause=0))


@pytest.fixture
def model(small_spec: dict[str, Any]) -> Model:
    """Cats and dogs, with random weights."""
    torch.manual_seed(0)
    return zoo.compose(Spec.from_data(small_spec)).eval()


@pytest.fixture
def content(model: Model) -> bytes:
    """Its file."""
    return to_bytes(model, model.plan, {"metrics": {"a/test/top1": {"mean": 0.5}}})


@pytest.fixture
def root(make_registry: MakeRegistry, content: bytes) -> Path:
    """The folder that is served, with that model as a_net."""
    root = make_registry(a_net={"1.0.0": {"blob": content}}).root
    assert root is not None
    return root


@pytest.fixture
def team(root: Path, serve: Callable[[Path], Any]) -> Any:
    """A registry elsewhere, which the user has added."""
    mirror = serve(root)
    zoo.add_registry("team", mirror.url)
    return mirror


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[[], None]:
    """A function from which on the network is switched off, and every socket a failure."""

    def switch() -> None:
        monkeypatch.setenv("ZOO_OFFLINE", "1")
        request.getfixturevalue("no_network")

    return switch


def digest(content: bytes) -> str:
    """The name of a blob."""
    return hashlib.sha256(content).hexdigest()


def make_old(cache: Path, hours: float) -> None:
    """Let so many hours pass since indices were fetched."""
    then = time.time() - hours * 3600
    for file in (cache / f"registries-{os.geteuid()}").glob("*.yaml"):
        os.utime(file, (then, then))


def rewrite(root: Path, change: Callable[[dict[str, Any]], object], *, serial: int = 2) -> None:
    """Change the variants of an index."""
    data = json.loads((root / "registry.yaml").read_text())
    change(data["variants"])
    data["serial"] = serial
    (root / "registry.yaml").write_text(json.dumps(data))


def test_a_model_is_fetched_unasked(team: Any, model: Model, cache: Path, content: bytes) -> None:
    """Once; the model knows the exact version and digest."""
    x = torch.randn(1, 3, 8, 8)
    for name in ("team/a_net", "a_net@1", "a_net"):
        made = zoo.create(name, pretrained=True)
        assert torch.equal(made(x), model(x))
    assert str(made.ref) == "a_net@1.0.0"
    assert made.ref is not None
    assert made.ref.sha256 == digest(content)
    assert blob_path(cache, digest(content)).read_bytes() == content
    assert team.asked_for("/blobs/") == 1
    assert team.asked_for("/registry.yaml") == 1


@pytest.mark.parametrize("ref", ["a_net", "team/a_net@1", "a_net@1.0.0", "team/a_net@sha256:{}"])
def test_what_is_cached_opens_no_socket(
    team: Any, no_network_later: Callable[[], None], content: bytes, ref: str
) -> None:
    """Neither for the index, while it is fresh, nor for the weights."""
    zoo.create("a_net", pretrained=True)
    no_network_later()
    assert zoo.create(ref.format(digest(content)), pretrained=True).num_classes == 2


@pytest.fixture
def no_network_later(request: pytest.FixtureRequest) -> Callable[[], None]:
    """A function from which on every socket is a failure, though the network is not switched off."""
    return lambda: request.getfixturevalue("no_network")


@pytest.mark.parametrize("ref", ["a_net@1.0.0", "team/a_net@1.0.0", "a_net@sha256:{}"])
def test_an_exact_version_that_is_cached_needs_no_network_however_old_the_index(
    team: Any, cache: Path, content: bytes, no_network_later: Callable[[], None], ref: str
) -> None:
    """A training that names its versions runs for years."""
    zoo.create("a_net", pretrained=True)
    make_old(cache, 24 * 1000)
    no_network_later()
    assert zoo.create(ref.format(digest(content)), pretrained=True).num_classes == 2


def test_a_digest_that_no_index_names_any_more_still_loads(
    team: Any, root: Path, content: bytes, no_network_later: Callable[[], None]
) -> None:
    """The spec is inside the file, and the version is the one that it was."""
    zoo.create("a_net", pretrained=True)
    rewrite(root, lambda variants: variants.pop("a_net"))
    zoo.refresh("team")
    no_network_later()
    made = zoo.create(f"a_net@sha256:{digest(content)}", pretrained=True)
    assert (str(made.ref), made.labels) == ("a_net@1.0.0", ("cat", "dog"))
    described = zoo.describe(f"a_net@sha256:{digest(content)}")
    assert described.metrics == {"a/test/top1": {"mean": 0.5}}


def test_a_blob_of_which_nothing_is_known_is_called_by_its_digest(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody else's cache is read."""
    path = blob_path(tmp_path / "theirs", digest(content))
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv("ZOO_CACHE_READ", str(tmp_path / "theirs"))
    made = zoo.create(f"a_net@sha256:{digest(content)}", pretrained=True)
    assert str(made.ref) == f"a_net@sha256:{digest(content)}"
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DigestMismatch, match=r"is damaged: .* Delete it, and fetch it again from"):
        zoo.create(f"a_net@sha256:{digest(content)}", pretrained=True)


def test_offline_lists_what_is_cached(
    team: Any, root: Path, content: bytes, offline: Callable[[], None]
) -> None:
    """Whatever of it was asked for in vain."""
    rewrite(
        root, lambda v: v.update(b_net={"versions": {"2.0.0": v["a_net"]["versions"]["1.0.0"]}})
    )
    rewrite(root, lambda v: v["a_net"]["versions"].update({"1.1.0": other_bytes(v)}))
    zoo.refresh("team")
    zoo.create("a_net@1.0.0", pretrained=True)
    offline()
    with pytest.raises(Offline, match=r"a_net@1\.1\.0: .*ZOO_OFFLINE.*Cached: a_net@1\.0\.0"):
        zoo.create("a_net", pretrained=True)
    with pytest.raises(UnknownName, match=r"There is no a_net@7\.7\.7\..*Cached: a_net@1"):
        zoo.create("a_net@7.7.7", pretrained=True)
    assert zoo.create("a_net@1.0.0", pretrained=True).num_classes == 2


def test_offline_lists_nothing_that_is_cut_off(
    team: Any, content: bytes, cache: Path, offline: Callable[[], None]
) -> None:
    """It would not load: by its size where an index says that, and else by its bytes."""

    def listed() -> list[str]:
        """What is said to be cached, but for what is built in."""
        with pytest.raises(UnknownName, match=r"No variant is called 'b_net'.* Cached: ") as caught:
            zoo.create("b_net")
        names = str(caught.value).rpartition("Cached: ")[2].removesuffix(".").split(", ")
        return [name for name in names if name.startswith("a_net")]

    zoo.create("a_net", pretrained=True)
    offline()
    assert listed() == ["a_net@1.0.0"]
    path = blob_path(cache, digest(content))
    path.chmod(0o644)
    path.write_bytes(content[:-1])
    assert listed() == []
    write_configured([])
    assert listed() == []
    path.write_bytes(content)
    assert listed() == [f"a_net@sha256:{digest(content)}"]
    assert zoo.create(listed()[0], pretrained=True).num_classes == 2


def other_bytes(variants: dict[str, Any]) -> dict[str, Any]:
    """The entry of a_net with other weights."""
    weights = {"sha256": "0" * 64, "size": 5}
    return {**variants["a_net"]["versions"]["1.0.0"], "weights": weights}


def test_offline_with_nothing_cached_says_so(
    root: Path, serve: Callable[[Path], Any], offline: Callable[[], None]
) -> None:
    """A registry that was never fetched cannot answer."""
    registry = Registry(serve(root).url, name="team")
    offline()
    with pytest.raises(
        Offline, match=r"The index of .* is not fetched: ZOO_OFFLINE.*Nothing is cached\."
    ):
        zoo.create("team/a_net", pretrained=True, registries=[registry])


def test_a_version_that_changes_its_bytes_is_refused(team: Any, root: Path, content: bytes) -> None:
    """Once it was used; the first bytes can still be had by their digest."""
    zoo.create("a_net", pretrained=True)
    rewrite(root, lambda v: v["a_net"]["versions"].update({"1.0.0": other_bytes(v)}))
    zoo.refresh("team")
    for use in (zoo.describe, zoo.download, lambda ref: zoo.create(ref, pretrained=True)):
        with pytest.raises(RolledBack, match=rf"a_net@1\.0\.0 .* was sha256:{digest(content)}"):
            use("a_net")
    assert zoo.create(f"a_net@sha256:{digest(content)}", pretrained=True).num_classes == 2


def test_an_index_that_describes_its_weights_otherwise_is_refused(
    team: Any, root: Path, cache: Path
) -> None:
    """The digest covers the file alone: labels in another order would go unnoticed."""

    def swap(variants: dict[str, Any]) -> None:
        variants["a_net"]["versions"]["1.0.0"]["spec"]["output"]["labels"] = ["dog", "cat"]

    rewrite(root, swap)
    zoo.refresh("team")
    with pytest.raises(zoo.WeightsError, match="the spec inside the file is not that of the regis"):
        zoo.create("a_net", pretrained=True)


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_damaged_copy_in_the_cache_is_fetched_anew(
    team: Any, cache: Path, content: bytes, damage: str
) -> None:
    """With a warning; and where it cannot be fetched it is an error."""
    zoo.download("a_net")
    path = blob_path(cache, digest(content))
    damaged = content[:-1] + bytes([content[-1] ^ 1]) if damage == "flip" else content[:-1]
    replace(path, damaged)
    with pytest.warns(RegistryWarning, match=r"Fetched anew: .* is damaged: [^.]*\.$"):
        zoo.create("a_net", pretrained=True)
    assert path.read_bytes() == content
    assert team.asked_for("/blobs/") == 2
    replace(path, content[:-1] + bytes([content[-1] ^ 1]))
    team.stop()
    with pytest.warns(RegistryWarning), pytest.raises(zoo.FetchError, match="127"):
        zoo.create("a_net", pretrained=True)


def replace(path: Path, content: bytes) -> None:
    """Put another file in the place of a blob, which is read-only."""
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damaged", "told"),
    [(None, "(bytes with|has the) sha256"), (b"cut", "it has 3 bytes, published were")],
)
@pytest.mark.parametrize("use", [zoo.download, lambda ref: zoo.create(ref, pretrained=True)])
def test_offline_a_damaged_copy_stays_and_is_an_error(
    team: Any,
    cache: Path,
    content: bytes,
    offline: Callable[[], None],
    damaged: bytes | None,
    told: str,
    use: Callable[[str], object],
) -> None:
    """Deleting it would help nobody; the message says what does."""
    zoo.download("a_net")
    path = blob_path(cache, digest(content))
    replace(path, damaged or b"x" * len(content))
    offline()
    with pytest.raises(
        DigestMismatch, match=rf"is damaged: .*{told}.* Unset ZOO_OFFLINE, and it is"
    ):
        use("a_net")
    assert path.exists()


def test_weights_that_a_folder_has_are_not_fetched(
    team: Any, make_registry: MakeRegistry, content: bytes
) -> None:
    """The blobs of every registry in a folder are looked through."""
    copy = make_registry("copy", id="copy", other={"1.0.0": {"blob": content}})
    zoo.add_registry("copy", copy.base)
    assert zoo.create("team/a_net", pretrained=True).num_classes == 2
    assert team.asked_for("/blobs/") == 0


def test_a_folder_that_lacks_its_weights_says_so(root: Path, content: bytes) -> None:
    """Nothing is looked for elsewhere."""
    registry = Registry(root)
    blob_path(root, digest(content)).unlink()
    with pytest.raises(zoo.WeightsError, match=f"sha256:{digest(content)} are not in {root}"):
        zoo.create("a_net", pretrained=True, registries=[registry])


def test_one_that_cannot_be_reached_does_not_hold_up_the_others(
    team: Any, make_registry: MakeRegistry
) -> None:
    """It is reported; asked for by name it is the error."""
    zoo.add_registry("local", make_registry("local", id="local", b_net={"1.0.0": {}}).base)
    zoo.remove_registry("team")
    team.stop()
    dead = Registry(team.url, name="team")
    registries = [dead, *zoo.registries()]
    with pytest.warns(RegistryWarning, match="Registry team is left out: "):
        assert str(zoo.describe("b_net", registries=registries).ref) == "b_net@1.0.0"
    with pytest.raises(zoo.FetchError, match="127"):
        zoo.describe("team/b_net", registries=registries)
    with pytest.warns(RegistryWarning, match="Registry team is left out: "):
        assert "b_net@1.0.0" in [row.ref for row in zoo.list_variants(registries=registries)]


def test_a_broken_folder_does_not_hold_up_an_exact_version(
    team: Any, make_registry: MakeRegistry, cache: Path, no_network_later: Callable[[], None]
) -> None:
    """Nor does it make anybody ask the network."""
    zoo.create("a_net", pretrained=True)
    broken = Registry(make_registry("broken", id="broken").base, name="broken")
    (Path(broken.base) / "registry.yaml").write_text("no: registry")
    make_old(cache, 48)
    no_network_later()
    registries = [broken, *zoo.registries()]
    with pytest.warns(RegistryWarning, match="Registry broken is left out: .*unknown field"):
        made = zoo.create("a_net@1.0.0", pretrained=True, registries=registries)
    assert str(made.ref) == "a_net@1.0.0"
    with pytest.raises(RegistryError, match="unknown field"):
        zoo.create("broken/a_net@1.0.0", registries=registries)


def test_an_exact_version_is_not_taken_past_a_registry_that_was_never_fetched(
    team: Any, make_registry: MakeRegistry, serve: Callable[[Path], Any]
) -> None:
    """It comes first, and might know the name: then its version is the one that is meant."""
    zoo.create("a_net", pretrained=True)
    first = make_registry("first", id="first", a_net={"1.0.0": {"params": 7}})
    assert first.root is not None
    registries = [Registry(serve(first.root).url, name="first"), *zoo.registries()]
    assert zoo.describe("a_net@1.0.0", registries=registries).params == 7


def test_a_withdrawn_version_loads_exactly_with_its_reason(team: Any, root: Path) -> None:
    """And plain names no longer come to it."""

    def yank(variants: dict[str, Any]) -> None:
        variants["a_net"]["versions"]["1.0.0"]["status"] = {"yanked": "wrong split"}

    rewrite(root, yank)
    zoo.refresh("team")
    with pytest.warns(YankedWarning, match=r"a_net@1\.0\.0 was withdrawn .*: wrong split"):
        assert zoo.create("a_net@1.0.0", pretrained=True).num_classes == 2
    with pytest.raises(UnknownName, match=r"1\.0\.0 \(withdrawn\)"):
        zoo.create("a_net", pretrained=True)


@pytest.fixture
def lock(team: Any, tmp_path: Path) -> Path:
    """A lock file that holds a_net@1.0.0."""
    (tmp_path / "zoo.lock").write_text(zoo.lock(["a_net"]))
    return tmp_path / "zoo.lock"


def test_a_lock_is_obeyed_whatever_is_newer(lock: Path, root: Path, model: Model) -> None:
    """Until it is written anew."""
    rewrite(root, lambda v: v["a_net"]["versions"].update({"1.1.0": other_bytes(v)}))
    zoo.refresh("team")
    assert str(zoo.describe("a_net").ref) == "a_net@1.1.0"
    made = zoo.create("a_net", pretrained=True, lock=lock)
    assert str(made.ref) == "a_net@1.0.0"
    assert str(zoo.create("team/a_net@1", pretrained=True, lock=lock).ref) == "a_net@1.0.0"
    assert zoo.create("a_net", lock=lock).training
    with pytest.raises(
        UnknownName, match=r"zoo\.lock holds a_net@1\.0\.0, which is not a_net@1\.1"
    ):
        zoo.create("a_net@1.1", pretrained=True, lock=lock)
    with pytest.raises(UnknownName, match=r"does not hold 'a_net' of registry 'zoo'"):
        zoo.create("zoo/a_net", pretrained=True, lock=lock)
    assert str(zoo.lock(["a_net"])).count("1.1.0") == 1


def test_a_locked_version_with_other_bytes_is_refused(lock: Path, root: Path) -> None:
    """Even if it was never used before."""
    rewrite(root, lambda v: v["a_net"]["versions"].update({"1.0.0": other_bytes(v)}))
    zoo.refresh("team")
    with pytest.raises(RegistryError, match=r"a_net@1\.0\.0 is locked as .*now says sha256:0000"):
        zoo.create("a_net", pretrained=True, lock=lock)
    with pytest.raises(RegistryError, match=r"is locked as"):
        zoo.sync(lock)


def test_a_locked_version_that_is_gone_is_had_from_the_cache_or_not_at_all(
    lock: Path, root: Path, team: Any
) -> None:
    """By its digest."""
    rewrite(root, lambda variants: variants.pop("a_net"))
    zoo.refresh("team")
    with pytest.raises(UnknownName, match=r"of registry id 'tests' is locked, but not to be had"):
        zoo.create("a_net", pretrained=True, lock=lock)


def test_a_locked_version_that_its_registry_never_had_is_refused(
    lock: Path, cache: Path, offline: Callable[[], None]
) -> None:
    """Though bytes of that digest are cached; offline an old index proves nothing, and the bytes are the right ones."""
    files = zoo.sync(lock)
    lock.write_text(lock.read_text().replace('"1.0.0"', '"1.0.9"'))
    with pytest.raises(
        UnknownName,
        match=r"a_net@1\.0\.9 .* is locked, but .* Versions of a_net: 1\.0\.0\. Lock anew",
    ):
        zoo.sync(lock)
    make_old(cache, 24)
    offline()
    with pytest.warns(RegistryWarning, match="No newer index"):
        assert zoo.sync(lock) == files


def test_a_locked_version_that_was_withdrawn_is_synced(lock: Path, root: Path) -> None:
    """With the warning."""
    withdrawn = {"status": {"yanked": "wrong labels"}}
    rewrite(root, lambda v: v["a_net"]["versions"]["1.0.0"].update(withdrawn))
    zoo.refresh("team")
    with pytest.warns(YankedWarning, match="wrong labels"):
        (file,) = zoo.sync(lock)
    assert file.is_file()


def test_a_locked_version_in_the_cache_needs_no_registry(
    lock: Path, root: Path, no_network_later: Callable[[], None]
) -> None:
    """As long as its bytes are here."""
    zoo.sync(lock)
    zoo.remove_registry("team")
    no_network_later()
    assert zoo.create("a_net", pretrained=True, lock=lock).labels == ("cat", "dog")


def test_a_locked_version_asks_no_registry_that_has_nothing_to_do_with_it(
    lock: Path, no_network_later: Callable[[], None]
) -> None:
    """Even one of which nothing was ever fetched, so that its id is not known."""
    zoo.sync(lock)
    no_network_later()
    registries = [Registry("https://models.example.org/zoo", name="other"), *zoo.registries()]
    made = zoo.create("a_net", pretrained=True, lock=lock, registries=registries)
    assert str(made.ref) == "a_net@1.0.0"


def test_of_one_name_in_two_registries_the_first_in_order_is_meant(
    team: Any, make_registry: MakeRegistry, tmp_path: Path
) -> None:
    """Unless the ref says which."""
    local = make_registry("local", id="local", a_net={"3.0.0": {"blob": b"three"}})
    zoo.add_registry("local", local.base)
    (tmp_path / "zoo.lock").write_text(zoo.lock(["a_net", "local/a_net"]))
    lock = tmp_path / "zoo.lock"
    assert str(zoo.create("a_net", lock=lock).spec)
    assert zoo.download("a_net", lock=lock) == zoo.download("team/a_net")
    assert zoo.download("local/a_net", lock=lock).read_bytes() == b"three"


def test_a_lock_holds_variants_alone(lock: Path) -> None:
    """A backbone of timm's is not in it."""
    with pytest.raises(UnknownName, match=r"zoo\.lock does not hold 'resnet18'"):
        zoo.create("timm/resnet18", lock=lock)

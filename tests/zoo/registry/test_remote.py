"""Registries elsewhere: when their index is fetched, when the old one serves, and when neither does."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from zoo import FetchError, Offline, Registry, RegistryError, UnknownName
from zoo.refs import Ref
from zoo.registry.remote import RegistryWarning, in_words, prune_indices
from zoo.registry.resolving import resolve
from zoo.registry.seen import RolledBack
from zoo.store import patience

MakeRegistry = Callable[..., Registry]
HOUR = 3600


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is not tried again after a while."""
    monkeypatch.setattr(patience, "PATIENCE", patience.Patience(attempts=1, pause=0))


@pytest.fixture
def root(make_registry: MakeRegistry) -> Path:
    """The folder that is served."""
    root = make_registry(a_net={"1.0.0": {"blob": b"one"}}).root
    assert root is not None
    return root


@pytest.fixture
def mirror(root: Path, serve: Callable[[Path], Any]) -> Any:
    """Its server."""
    return serve(root)


def publish(root: Path, *, number: str = "1.1.0", serial: int | None = None) -> None:
    """Put a version more into an index; its serial goes up, or is what is said."""
    data = json.loads((root / "registry.yaml").read_text())
    data["variants"]["a_net"]["versions"][number] = data["variants"]["a_net"]["versions"]["1.0.0"]
    data["serial"] = data["serial"] + 1 if serial is None else serial
    (root / "registry.yaml").write_text(json.dumps(data))


def kept(cache: Path) -> Path:
    """The one index that is kept."""
    (file,) = (cache / f"registries-{os.geteuid()}").glob("*.yaml")
    return file


def make_old(cache: Path, hours: float) -> None:
    """Let so many hours pass since the index was fetched."""
    then = time.time() - hours * HOUR
    os.utime(kept(cache), (then, then))


def newest(address: str) -> str:
    """What the plain name comes to, for a process that has just started."""
    return str(resolve(Ref.parse("a_net"), [Registry(address, name="team")])[1].ref)


def newest_named(address: str) -> str:
    """What the name comes to in that registry, which is asked for by name."""
    return str(resolve(Ref.parse("team/a_net"), [Registry(address, name="team")])[1].ref)


def test_a_registry_elsewhere_is_one_like_any(mirror: Any) -> None:
    """Its id, serial, names and versions; without a name it goes by its id."""
    registry = Registry(mirror.url)
    assert (registry.name, registry.id, registry.serial, registry.root) == (
        "tests",
        "tests",
        1,
        None,
    )
    assert registry.index.names() == ["a_net"]
    assert registry.base == mirror.url
    assert registry.blob("0" * 64) is None


def test_nothing_is_asked_before_it_is_needed(mirror: Any, no_network: None) -> None:
    """A registry that has a name is a name and an address at first."""
    assert Registry(mirror.url, name="team").name == "team"


def test_the_index_is_fetched_once_a_day(root: Path, mirror: Any, cache: Path) -> None:
    """Younger than 24 hours it is used as it is; older it is fetched anew."""
    assert newest(mirror.url) == "a_net@1.0.0"
    publish(root)
    make_old(cache, 23.9)
    assert newest(mirror.url) == "a_net@1.0.0"
    assert mirror.asked_for("/registry.yaml") == 1
    make_old(cache, 24.1)
    assert newest(mirror.url) == "a_net@1.1.0"
    assert mirror.asked_for("/registry.yaml") == 2
    assert newest(mirror.url) == "a_net@1.1.0"
    assert mirror.asked_for("/registry.yaml") == 2


def test_one_object_fetches_when_its_time_has_come(root: Path, mirror: Any, cache: Path) -> None:
    """As in a process that runs for days; and it sees what another process fetched."""
    registry = Registry(mirror.url, name="team")
    assert registry.serial == 1
    publish(root)
    Registry(mirror.url).refresh()
    assert registry.serial == 2
    publish(root, number="1.2.0")
    make_old(cache, 25)
    assert registry.index.serial == 3


def test_where_no_newer_one_can_be_had_the_old_one_serves(mirror: Any, cache: Path) -> None:
    """With a warning that says how old it is, and why."""
    newest(mirror.url)
    make_old(cache, 75)
    mirror.stop()
    with pytest.warns(RegistryWarning, match=rf"No newer index of {mirror.url} .* is 3 days old: "):
        assert newest(mirror.url) == "a_net@1.0.0"


def test_who_has_an_index_to_go_on_with_tries_once(
    mirror: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has none waits and tries again."""
    newest(mirror.url)
    make_old(cache, 75)
    mirror.stop()
    monkeypatch.setattr(patience, "PATIENCE", patience.Patience(attempts=3, pause=0))
    with pytest.warns(RegistryWarning, match="Tried 1 times"):
        newest(mirror.url)
    kept(cache).unlink()
    with pytest.raises(FetchError, match="Tried 2 times"):
        newest_named(mirror.url)


def test_a_server_that_is_down_is_not_asked_by_the_same_object_again_and_again(
    mirror: Any, cache: Path
) -> None:
    """One warning, one attempt, for a minute."""
    registry = Registry(mirror.url, name="team")
    assert registry.index.names() == ["a_net"]
    make_old(cache, 75)
    registry = Registry(mirror.url, name="team")
    mirror.stop()
    with pytest.warns(RegistryWarning, match="3 days old"):
        registry.index.names()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry.index.names() == ["a_net"]


def test_offline_the_old_one_serves_with_a_warning(
    mirror: Any, cache: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """And no socket is made, whatever the age."""
    newest(mirror.url)
    make_old(cache, 48)
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    request.getfixturevalue("no_network")
    with pytest.warns(RegistryWarning, match="is 2 days old: .*ZOO_OFFLINE forbids the network"):
        assert newest(mirror.url) == "a_net@1.0.0"
    with pytest.raises(Offline, match="ZOO_OFFLINE forbids the network"):
        newest_named("https://models.example.org/zoo")


def test_nothing_cached_and_nothing_to_be_had_is_an_error(mirror: Any) -> None:
    """It says which server does not answer."""
    mirror.stop()
    with pytest.raises(FetchError, match=mirror.url.removeprefix("http://")):
        newest_named(mirror.url)


def test_an_address_without_a_registry_says_so(mirror: Any, root: Path) -> None:
    """Not that a file was not found."""
    (root / "registry.yaml").unlink()
    with pytest.raises(RegistryError, match=f"{mirror.url} holds no registry.yaml, so it is no"):
        newest_named(mirror.url)


def test_a_broken_index_never_takes_the_place_of_the_old_one(
    root: Path, mirror: Any, cache: Path
) -> None:
    """The warning says what is wrong with it, by its address and line."""
    newest(mirror.url)
    (root / "registry.yaml").write_text("schema: 1\nid: tests\nserial: 2\nvariants: {}\nmore: 1\n")
    make_old(cache, 25)
    for _ in range(2):
        with pytest.warns(
            RegistryWarning, match=rf"1 day old: {mirror.url}/registry\.yaml:5: more: unknown field"
        ):
            assert newest(mirror.url) == "a_net@1.0.0"
    with pytest.raises(RegistryError, match=rf"{mirror.url}/registry\.yaml:5"):
        Registry(mirror.url).refresh()
    assert list(kept(cache).parent.glob(".*")) == []


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"variants: {}", b"\xff"])
def test_a_cached_index_that_is_damaged_is_fetched_again(
    mirror: Any, cache: Path, content: bytes
) -> None:
    """Silently: nothing is lost."""
    newest(mirror.url)
    kept(cache).write_bytes(content)
    assert newest(mirror.url) == "a_net@1.0.0"
    assert mirror.asked_for("/registry.yaml") == 2


@pytest.mark.parametrize("hours", [-24, -24 * 365 * 30])
def test_an_index_from_the_future_is_not_fresh(
    root: Path, mirror: Any, cache: Path, hours: float
) -> None:
    """A clock that was wrong once must not keep an index for ever."""
    newest(mirror.url)
    publish(root)
    make_old(cache, hours)
    assert newest(mirror.url) == "a_net@1.1.0"
    make_old(cache, hours)
    mirror.stop()
    with pytest.warns(RegistryWarning, match="is an unknown time old"):
        assert newest(mirror.url) == "a_net@1.1.0"


def test_a_file_server_whose_clock_is_a_little_ahead_is_no_wrong_clock(
    mirror: Any, cache: Path
) -> None:
    """Its indices are fresh."""
    newest(mirror.url)
    make_old(cache, -0.05)
    assert newest(mirror.url) == "a_net@1.0.0"
    assert mirror.asked_for("/registry.yaml") == 1


def test_an_index_that_goes_back_is_an_error_until_accepted(
    root: Path, mirror: Any, cache: Path
) -> None:
    """Also where the name is not asked for in this registry: nobody else answers in its stead."""
    publish(root, serial=5)
    newest(mirror.url)
    publish(root, number="9.0.0", serial=4)
    make_old(cache, 25)
    with pytest.raises(RolledBack, match=rf"{mirror.url} went back: .* serial 4, and 5 was seen"):
        newest(mirror.url)
    with pytest.raises(RolledBack, match="--accept-rollback"):
        Registry(mirror.url, name="team").refresh()
    Registry(mirror.url, name="team").refresh(accept_rollback=True)
    assert newest(mirror.url) == "a_net@9.0.0"


def test_an_old_index_that_was_slipped_into_the_cache_is_not_used(
    root: Path, mirror: Any, cache: Path
) -> None:
    """Or that a slower process put there: the newest serial that was seen counts."""
    newest(mirror.url)
    old = kept(cache).read_bytes()
    publish(root)
    Registry(mirror.url).refresh()
    kept(cache).write_bytes(old)
    assert newest(mirror.url) == "a_net@1.1.0"
    assert mirror.asked_for("/registry.yaml") == 3


def test_a_folder_that_goes_back_is_an_error_until_accepted(root: Path) -> None:
    """A folder may be a team's, on a shared disk."""
    publish(root, serial=5)
    Registry(root)
    publish(root, serial=4)
    with pytest.raises(RolledBack, match="serial 4, and 5 was seen"):
        Registry(root)
    Registry(root, name="ours").refresh(accept_rollback=True)
    assert Registry(root).serial == 4


def test_a_package_may_be_downgraded(root: Path) -> None:
    """Its installer answers for what it brings."""
    publish(root, serial=5)
    Registry(root, installed=True)
    publish(root, serial=4)
    assert Registry(root, installed=True).serial == 4


def test_without_a_cache_the_index_serves_one_object(
    mirror: Any, tmp_path: Path, root: Path
) -> None:
    """A file where the cache should be is what a read-only home comes to."""
    (tmp_path / "file").write_text("in the way")
    registry = Registry(mirror.url, name="team", cache=tmp_path / "file" / "cache")
    assert registry.index.names() == ["a_net"]
    assert registry.index.names() == ["a_net"]
    assert mirror.asked_for("/registry.yaml") == 1
    again = Registry(mirror.url, name="team", cache=tmp_path / "file" / "cache")
    assert again.index.names() == ["a_net"]
    assert mirror.asked_for("/registry.yaml") == 2


def test_a_disk_that_is_full_everywhere_is_told(
    mirror: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither beside the cache nor in the system's own folder is there room."""

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(FetchError, match=r"cannot be written to: No space left on device"):
        newest_named(mirror.url)


def test_many_at_once_fetch_and_look_up(mirror: Any, cache: Path) -> None:
    """Each has a whole index at every moment, and nothing is left lying about."""

    def use(number: int) -> list[str]:
        registry = Registry(mirror.url, name="team")
        if number % 2:
            registry.refresh()
        return registry.index.names()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(16))) == [["a_net"]] * 16
    assert sorted(file.suffix for file in kept(cache).parent.iterdir()) == [".sqlite", ".yaml"]


def test_too_large_an_index_is_not_read_to_its_end(
    mirror: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of the reader holds on this way, too."""
    monkeypatch.setattr("zoo.registry.reader.SIZE_LIMIT", 100)
    with pytest.raises(FetchError, match="at most 100 are read"):
        newest_named(mirror.url)


def test_an_exact_version_that_is_new_is_asked_for(root: Path, mirror: Any, cache: Path) -> None:
    """No is said only after the registry was asked, unless that was just now."""
    registry = Registry(mirror.url, name="team")
    assert str(resolve(Ref.parse("a_net"), [registry])[1].ref) == "a_net@1.0.0"
    publish(root)
    make_old(cache, 1)
    later = Registry(mirror.url, name="team")
    assert str(resolve(Ref.parse("a_net@1.1.0"), [later])[1].ref) == "a_net@1.1.0"
    with pytest.raises(UnknownName, match=r"There is no a_net@9\.9\.9"):
        resolve(Ref.parse("a_net@9.9.9"), [later])
    assert mirror.asked_for("/registry.yaml") == 2


def test_a_name_that_is_not_there_yet_says_how_to_look_again(mirror: Any) -> None:
    """The index may be a day old."""
    with pytest.raises(UnknownName, match=r"Did you mean 'a_net'\? .* `zoo registry refresh`"):
        resolve(Ref.parse("b_net"), [Registry(mirror.url, name="team")])


def test_old_indices_are_pruned(mirror: Any, cache: Path) -> None:
    """And fetched again; what was seen stays."""
    newest(mirror.url)
    assert prune_indices(cache, 3600) == 0
    for file in cache.rglob("*"):
        os.utime(file, (1, 1))
    assert prune_indices(cache, 3600) == 2
    assert [file.name for file in cache.rglob("*") if file.is_file()] == ["seen.sqlite"]
    assert newest(mirror.url) == "a_net@1.0.0"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (60, "1 minute"),
        (7300, "2 hours"),
        (86_400, "1 day"),
        (9e9, "104166 days"),
        (float("inf"), "an unknown time"),
    ],
)
def test_times_are_said_in_words(seconds: float, words: str) -> None:
    """In the largest unit of which there is one."""
    assert in_words(seconds) == words

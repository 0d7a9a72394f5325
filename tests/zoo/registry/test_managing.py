"""The registries of a user: adding, listing, removing, refreshing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo import FetchError, InvalidValue, Offline, Registry, RegistryError, UnknownName
from zoo.registry import normal_base
from zoo.registry.configured import read_configured
from zoo.registry.managing import base_to_change
from zoo.registry.seen import RolledBack
from zoo.store import patience

MakeRegistry = Callable[..., Registry]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is not tried again after a while."""
    monkeypatch.setattr(patience, "PATIENCE", patience.Patience(attempts=1, pause=0))


@pytest.fixture
def mirror(make_registry: MakeRegistry, serve: Callable[[Path], Any]) -> Any:
    """A registry elsewhere."""
    registry = make_registry(team_net={"1.0.0": {"blob": b"one"}})
    assert registry.root is not None
    return serve(registry.root)


def test_those_that_are_added_stand_behind_the_built_in_one_in_order(
    mirror: Any, make_registry: MakeRegistry
) -> None:
    """Under the names that were given, and their variants are listed."""
    ours = make_registry("ours", id="ours", our_net={"1.0.0": {}})
    added = zoo.add_registry("team", f"{mirror.url}/")
    zoo.add_registry("local", str(ours.root))
    assert (added.name, added.base) == ("team", mirror.url)
    assert [registry.name for registry in zoo.registries()] == ["zoo", "team", "local"]
    rows = {row.ref: row.registry for row in zoo.list_variants("*_net")}
    assert rows == {"team_net@1.0.0": "team", "our_net@1.0.0": "local"}
    assert zoo.describe("team/team_net").weights is not None
    with pytest.raises(UnknownName, match=r"there is no registry 'taem'\. Did you mean 'team'"):
        zoo.describe("taem/team_net")


def test_a_folder_is_added_by_its_absolute_path(
    make_registry: MakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the same from every folder."""
    root = make_registry(a_net={"1.0.0": {}}).root
    assert root is not None
    monkeypatch.chdir(root.parent)
    zoo.add_registry("team", root.name)
    zoo.add_registry("again", root.as_uri())
    assert [one.base for one in read_configured()] == [str(root), str(root)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zoo", "already"),
        ("Team", "is no name"),
        ("timm", "is a word of zoo's own"),
        ("attention", "is a word of zoo's own"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(mirror: Any, name: str, message: str) -> None:
    """Before anything is fetched."""
    with pytest.raises(InvalidValue, match=message):
        zoo.add_registry(name, mirror.url)
    assert mirror.requests == []
    assert read_configured() == []


ADDER = """
import sys
import zoo
for number in range(5):
    zoo.add_registry(f"r{sys.argv[2]}_{number}", sys.argv[1])
    zoo.remove_registry(f"r{sys.argv[2]}_{number}")
    zoo.add_registry(f"r{sys.argv[2]}_{number}", sys.argv[1])
"""


def test_of_several_who_add_and_remove_at_once_none_loses_anything(
    make_registry: MakeRegistry,
) -> None:
    """Four processes: what each added last is there, in the order in which each added it."""
    root = make_registry(a_net={"1.0.0": {}}).base
    command = [sys.executable, "-c", ADDER, root]
    processes = [subprocess.Popen([*command, str(number)]) for number in range(4)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 4
    found = [one.name for one in read_configured()]
    assert sorted(found) == sorted(f"r{who}_{number}" for who in range(4) for number in range(5))
    for who in range(4):
        assert [n for n in found if n[1] == str(who)] == [f"r{who}_{number}" for number in range(5)]


def test_what_does_not_work_is_not_added(mirror: Any, tmp_path: Path) -> None:
    """A mistyped address is told at once."""
    with pytest.raises(RegistryError, match=r"holds no registry\.yaml"):
        zoo.add_registry("team", tmp_path)
    with pytest.raises(RegistryError, match=r"holds no registry\.yaml"):
        zoo.add_registry("team", f"{mirror.url}/elsewhere")
    with pytest.raises(UnknownName, match=r"No transport reaches htp:// addresses"):
        zoo.add_registry("team", "htp://models.example.org")
    mirror.stop()
    with pytest.raises(FetchError, match=mirror.url.removeprefix("http://")):
        zoo.add_registry("team", mirror.url)
    assert read_configured() == []


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("https://me:secret@models.example.org/zoo", "a user or password; give a token"),
        ("https://token@models.example.org/zoo", "a user or password"),
        ("s3://key:secret@bucket/zoo", "a user or password"),
        ("https://models.example.org/zoo?token=secret", "a query or fragment"),
        ("https://models.example.org/zoo#a", "a query or fragment"),
        ("https://", "no host"),
        ("https://models.example.org/a b", "spaces or signs that do not print"),
        ("https://models.example.org/\n", "spaces or signs that do not print"),
        ("file://elsewhere/zoo", "names no folder"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(base: str, message: str) -> None:
    """Whatever in it may be a secret is not repeated."""
    with pytest.raises(InvalidValue, match=message) as caught:
        zoo.add_registry("team", base)
    assert "secret" not in str(caught.value)


def test_an_address_has_one_form() -> None:
    """What is seen under one form is seen under all."""
    assert normal_base("HTTPS://models.example.org/zoo/") == "https://models.example.org/zoo"
    assert normal_base("hf://org/name@main") == "hf://org/name@main"
    assert normal_base("file:///srv/a%20zoo") == "/srv/a zoo"
    assert normal_base("~").startswith("/")


def test_removing_forgets_the_registry(mirror: Any, cache: Path) -> None:
    """Its index, and what was seen there; the list, in order, keeps the others."""
    zoo.add_registry("team", mirror.url)
    kept = [file.name for file in cache.rglob("*.yaml")]
    zoo.remove_registry("team")
    assert len(kept) == 1
    assert list(cache.rglob("*.yaml")) == []
    assert [registry.name for registry in zoo.registries()] == ["zoo"]
    with pytest.raises(UnknownName, match="No registry 'team' was added"):
        zoo.remove_registry("team")


def test_one_address_under_two_names_is_forgotten_with_the_last(mirror: Any, cache: Path) -> None:
    """The other one still stands for it."""
    zoo.add_registry("team", mirror.url)
    zoo.add_registry("again", mirror.url)
    zoo.remove_registry("team")
    assert len(list(cache.rglob("*.yaml"))) == 1


def test_refreshing_fetches_whatever_the_age(mirror: Any, make_registry: MakeRegistry) -> None:
    """One registry, or all."""
    zoo.add_registry("team", mirror.url)
    make_registry(team_net={"1.0.0": {}, "1.1.0": {}})
    assert str(zoo.describe("team_net").ref) == "team_net@1.0.0"
    assert [registry.name for registry in zoo.refresh("team")] == ["team"]
    assert str(zoo.describe("team_net").ref) == "team_net@1.1.0"
    assert [registry.name for registry in zoo.refresh()] == ["zoo", "team"]
    with pytest.raises(UnknownName, match=r"no registry 'taem'\. Did you mean 'team'"):
        zoo.refresh("taem")


def test_refreshing_all_names_each_that_fails_and_refreshes_the_others(
    mirror: Any, make_registry: MakeRegistry, tmp_path: Path
) -> None:
    """One that is broken does not hold up the rest."""
    for name in ("first", "second"):
        zoo.add_registry(name, make_registry(name, id=name, a_net={"1.0.0": {}}).base)
    zoo.add_registry("team", mirror.url)
    (tmp_path / "first" / "registry.yaml").unlink()
    with pytest.raises(RegistryError, match=r"first holds no registry\.yaml"):
        zoo.refresh()
    assert mirror.asked_for("/registry.yaml") == 2
    (tmp_path / "second" / "registry.yaml").write_text("no: registry")
    with pytest.raises(
        RegistryError, match=r"first holds no registry\.yaml.*/second/registry\.yaml:1"
    ):
        zoo.refresh()
    assert mirror.asked_for("/registry.yaml") == 3


def test_offline_every_registry_that_is_not_refreshed_is_named(
    mirror: Any,
    make_registry: MakeRegistry,
    serve: Callable[[Path], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one sentence for all of them; those in folders are read all the same."""
    zoo.add_registry("team", mirror.url)
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(
        Offline, match=r"^The index of team \(http://\S+\) is not fetched: .* first\.$"
    ):
        zoo.refresh()
    monkeypatch.delenv("ZOO_OFFLINE")
    root = make_registry("other", id="other", b_net={"1.0.0": {}}).root
    assert root is not None
    zoo.add_registry("other", serve(root).url)
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(
        Offline,
        match=r"^The indices of team, other are not fetched: ZOO_OFFLINE forbids the network\. Unset",
    ):
        zoo.refresh()


def test_a_rollback_can_be_accepted(mirror: Any, make_registry: MakeRegistry) -> None:
    """By name."""
    registry = zoo.add_registry("team", mirror.url)
    file = Path(make_registry(team_net={"1.0.0": {}}).base) / "registry.yaml"
    file.write_text(file.read_text().replace('"serial": 1', '"serial": 0'))
    with pytest.raises(RolledBack, match="serial 0, and 1 was seen"):
        zoo.refresh("team")
    zoo.refresh("team", accept_rollback=True)
    assert zoo.registries()[1].serial == 0
    assert registry.serial == 0


def test_a_registry_to_change_may_be_named(
    make_registry: MakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path and an address stay as they are, and so does a word that no registry goes by."""
    monkeypatch.chdir(tmp_path)
    base = make_registry("ours", id="ours").base
    zoo.add_registry("mine", base)
    assert base_to_change("mine") == base
    for where in ("./mine", "~mine", "s3://bucket/mine", "other", str(tmp_path / "mine")):
        assert base_to_change(where) == where


def test_a_slip_of_a_name_makes_no_registry(
    make_registry: MakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of that name which holds a registry is meant, though."""
    monkeypatch.chdir(tmp_path)
    zoo.add_registry("mine", make_registry("ours", id="ours").base)
    with pytest.raises(UnknownName, match=r"no registry 'mime'\. Did you mean 'mine'\?.*\./mime"):
        base_to_change("mime")
    make_registry("mime", id="mime")
    assert base_to_change("mime") == "mime"


def test_a_name_that_means_two_registries_or_one_of_a_package_is_refused(
    make_registry: MakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says how each is written."""
    monkeypatch.chdir(tmp_path)
    zoo.add_registry("mine", make_registry("ours", id="ours").base)
    make_registry("mine", id="mine")
    with pytest.raises(
        InvalidValue, match=r"folder mine holds another one\. Write .*/ours or \./mine"
    ):
        base_to_change("mine")
    with pytest.raises(InvalidValue, match=r"'zoo' is the registry that came with a package"):
        base_to_change("zoo")

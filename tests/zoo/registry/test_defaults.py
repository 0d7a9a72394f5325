"""Which registries are looked in when none are named, and in which order."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import zoo
from zoo import InvalidValue, Registry, RegistryError
from zoo.finding import find
from zoo.obtaining import remember
from zoo.plugins import PluginWarning
from zoo.registry.configured import config_file
from zoo.registry.defaults import builtin_folder, chosen_registries, default_registries
from zoo.registry.remote import RegistryWarning
from zoo.registry.resolving import named
from zoo.registry.seen import RolledBack
from zoo.store import patience

MakeRegistry = Callable[..., Registry]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is not tried again after a while."""
    monkeypatch.setattr(patience, "PATIENCE", patience.Patience(attempts=1, pause=0))


@pytest.fixture
def bring(own_catalog: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that lets a plug-in bring registries."""

    def bring(*bases: str) -> None:
        monkeypatch.setattr(zoo.plugins.catalog().plugins[0], "registries", list(bases))

    return bring


def test_ours_come_first_then_the_users_then_those_of_plugins(
    make_registry: MakeRegistry, bring: Callable[..., None]
) -> None:
    """So that nothing that is installed can take a name of theirs away."""
    folders = {name: make_registry(name, id=name, a_net={"1.0.0": {}}).base for name in "ab"}
    bring(folders["a"])
    zoo.add_registry("mine", folders["b"])
    assert [(one.name, one.id) for one in default_registries()] == [
        ("zoo", "attn-zoo"),
        ("mine", "b"),
        ("a", "a"),
    ]
    assert zoo.describe("a_net").ref.registry == "b"


def test_a_plugins_registry_elsewhere_is_asked_when_its_turn_has_come(
    make_registry: MakeRegistry, serve: Callable[[Path], Any], bring: Callable[..., None]
) -> None:
    """Not for names that others have."""
    root = make_registry(a_net={"1.0.0": {}}).root
    assert root is not None
    mirror = serve(root)
    bring(mirror.url)
    zoo.describe("attn_cnn_small")
    zoo.describe("zoo/attn_cnn_small")
    assert mirror.requests == []
    assert zoo.describe("tests/a_net").ref.registry == "tests"


def test_a_plugins_registry_elsewhere_is_not_asked_for_its_name_alone(
    bring: Callable[..., None], no_network: None
) -> None:
    """A backbone is a backbone; only who asks for a registry by name waits for one."""
    bring("http://127.0.0.1:9/zoo")
    model = zoo.create("timm/resnet18", num_classes=3)
    assert model.num_classes == 3


def test_a_plugins_registry_elsewhere_may_not_take_back_what_it_said(
    make_registry: MakeRegistry, serve: Callable[[Path], Any], bring: Callable[..., None]
) -> None:
    """Only what came with a package may change with it."""
    root = make_registry(a_net={"1.0.0": {"blob": b"one"}}).root
    assert root is not None
    bring(serve(root).url)
    remember(find("a_net@1.0.0"))
    make_registry(a_net={"1.0.0": {"blob": b"two"}})
    for registry in default_registries():
        assert registry.installed == (registry.root is not None)
        if not registry.installed:
            registry.refresh()
    with pytest.raises(RolledBack, match="a_net"):
        zoo.describe("a_net@1.0.0")


def test_a_plugins_registry_that_is_down_is_in_nobodys_way(bring: Callable[..., None]) -> None:
    """Whoever needs all of them is told."""
    bring("http://127.0.0.1:9/zoo")
    assert named("timm", default_registries()) is None
    with pytest.warns(RegistryWarning, match="Registry http://127.0.0.1:9/zoo is left out: "):
        assert zoo.list_variants()
    with pytest.raises(zoo.UnknownName, match="there is no registry 'other'"):
        zoo.describe("other/a_net")


def test_a_plugins_broken_folder_is_reported(bring: Callable[..., None], tmp_path: Path) -> None:
    """And left out."""
    bring(str(tmp_path / "gone"))
    with pytest.warns(
        PluginWarning, match=r"A plug-in's registry is left out: .*gone holds no reg"
    ):
        assert [one.name for one in default_registries()] == ["zoo"]


def test_a_users_broken_registry_fails_whoever_asks_for_it(
    make_registry: MakeRegistry, tmp_path: Path
) -> None:
    """And nobody else, without a word where it is not needed."""
    zoo.add_registry("team", make_registry(a_net={"1.0.0": {}}).base)
    (tmp_path / "registry" / "registry.yaml").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert zoo.describe("attn_cnn_small@1").ref.registry == "attn-zoo"
    with pytest.raises(RegistryError, match=r"holds no registry\.yaml"):
        zoo.describe("team/a_net")


def test_a_list_that_cannot_be_read_is_an_error() -> None:
    """Leaving it out could give a name to another registry."""
    config_file().write_text("team")
    with pytest.raises(RegistryError, match=r"registries\.yaml: 'team' is no list"):
        zoo.describe("attn_cnn_small")


def test_the_built_in_registry_that_is_missing_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With what to do."""
    assert (builtin_folder() / "registry.yaml").is_file()
    monkeypatch.setattr(zoo.registry.defaults, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(RegistryError, match=r"built-in registry is missing .* reinstall attn-zoo"):
        default_registries()


def test_a_token_goes_to_the_registry_that_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name that the user gave, not by one that the registry gives itself."""
    told: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        """Takes down who it is told that asks."""

        def do_GET(self) -> None:
            """Answer with nothing."""
            told.append(self.headers["Authorization"])
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    monkeypatch.setenv("ZOO_TOKEN_TEAM", "our-token")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}"
        for name in ("team", "other", None):
            with pytest.raises(RegistryError, match="so it is no registry") as caught:
                Registry(base, name=name).refresh()
            assert "our-token" not in str(caught.value)
        server.shutdown()
        thread.join()
    assert told == ["Bearer our-token", None, None]


@pytest.mark.parametrize("given", ["./reg", ["./reg"], [Path("reg")], Path("reg")])
def test_registries_are_given_opened(given: Any) -> None:
    """A path is none; the message says how it becomes one, wherever registries are looked in."""
    for function in (zoo.create, zoo.download, zoo.describe, zoo.verify, zoo.list_variants):
        with pytest.raises(InvalidValue, match=r"registries=\[zoo\.Registry\('(\./)?reg'\)\]$"):
            function("small", registries=given)
    with pytest.raises(InvalidValue, match="give a list of opened ones"):
        zoo.lock(["small"], registries=given)


def test_one_registry_is_given_in_a_list(make_registry: MakeRegistry) -> None:
    """Alone it is refused."""
    registry = make_registry(a_net={"1.0.0": {}})
    assert chosen_registries([registry]) == [registry]
    with pytest.raises(InvalidValue, match="give a list of opened ones"):
        zoo.describe("a_net", registries=registry)  # type: ignore[arg-type]  # the point

"""Credentials: from where they come, to whom they go, and that nobody sees them."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from zoo import InvalidValue
from zoo.store.addresses import Origin
from zoo.store.credentials import Credentials

HTTPS = Origin("https", "models.example.org", 443)
HTTP = Origin("http", "models.example.org", 80)
LOOPBACK = Origin("http", "127.0.0.1", 8000)


@pytest.fixture(autouse=True)
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The netrc of this test, which is not there yet; and no token."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("ZOO_TOKEN_TEAM", raising=False)
    monkeypatch.delenv("ZOO_TOKEN_OVER_HTTP", raising=False)
    return tmp_path / "netrc"


def test_without_credentials_none_are_sent() -> None:
    """Most registries need none."""
    assert Credentials(HTTPS, "team").header() is None
    assert Credentials(HTTPS, None).header() is None


def test_a_token_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the registry's name: another one's is not taken."""
    monkeypatch.setenv("ZOO_TOKEN_TEAM", " abc.DEF-123\n")
    assert Credentials(HTTPS, "team").header() == "Bearer abc.DEF-123"
    assert Credentials(HTTPS, "other").header() is None
    assert Credentials(HTTPS, None).header() is None


@pytest.mark.parametrize(
    "token", ["a b", "a\r\nHost: evil", "schlüssel", "a\x00b".replace("\0", "\x7f")]
)
def test_a_token_that_no_header_can_hold(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told without being shown."""
    monkeypatch.setenv("ZOO_TOKEN_TEAM", token)
    with pytest.raises(InvalidValue, match="ZOO_TOKEN_TEAM holds spaces or characters") as caught:
        Credentials(HTTPS, "team").header()
    assert token not in str(caught.value)


def test_a_token_does_not_go_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Except to this machine, and where that is asked for."""
    monkeypatch.setenv("ZOO_TOKEN_TEAM", "hidden")
    with pytest.raises(
        InvalidValue, match=r"is not sent to http://models\.example\.org: over http"
    ) as caught:
        Credentials(HTTP, "team").header()
    assert "hidden" not in str(caught.value)
    assert Credentials(LOOPBACK, "team").header() == "Bearer hidden"
    monkeypatch.setenv("ZOO_TOKEN_OVER_HTTP", "1")
    assert Credentials(HTTP, "team").header() == "Bearer hidden"


def test_a_netrc_entry_goes_to_its_host(netrc: Path) -> None:
    """And to no other: the entry `default` would go to everybody."""
    netrc.write_text(
        "machine models.example.org login me password hidden\ndefault login a password b\n"
    )
    assert Credentials(HTTPS, None).header() == "Basic bWU6aGlkZGVu"
    assert Credentials(HTTP, None).header() is None
    assert Credentials(Origin("https", "example.org", 443), None).header() is None


def test_the_token_comes_before_netrc(netrc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set for this registry says more than what was set for its host."""
    netrc.write_text("machine models.example.org login me password hidden\n")
    monkeypatch.setenv("ZOO_TOKEN_TEAM", "abc")
    assert Credentials(HTTPS, "team").header() == "Bearer abc"


@pytest.mark.parametrize("text", [b"machine host login me passwrod hidden\n", b"\xff\xfe"])
def test_a_netrc_that_cannot_be_understood(netrc: Path, text: bytes) -> None:
    """The line is told, and not what it says."""
    netrc.write_bytes(text)
    with pytest.raises(InvalidValue, match=r"netrc cannot be understood.*; mend it") as caught:
        Credentials(HTTPS, None).header()
    assert "hidden" not in str(caught.value)


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """A stand-in for the package `keyring`: a dict of (service, user)."""
    kept: dict[tuple[str, str], str] = {}
    module, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    module.__spec__ = ModuleSpec("keyring", None)
    errors.KeyringError = type("KeyringError", (Exception,), {})  # type: ignore[attr-defined]

    def get_password(service: str, user: str) -> str | None:
        if user == "https://locked":
            raise errors.KeyringError("locked")
        return kept.get((service, user))

    module.get_password = get_password  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return kept


def test_a_token_from_the_keyring(keyring: dict[tuple[str, str], str]) -> None:
    """By the origin."""
    keyring["zoo", "https://models.example.org"] = "abc"
    assert Credentials(HTTPS, None).from_keyring() == "Bearer abc"
    assert Credentials(Origin("https", "models.example.org", 8443), None).from_keyring() is None
    assert Credentials(HTTP, None).from_keyring() is None


def test_a_keyring_that_is_locked_has_nothing(keyring: dict[tuple[str, str], str]) -> None:
    """The server's refusal is the error then."""
    assert Credentials(Origin("https", "locked", 443), None).from_keyring() is None


def test_without_the_package_there_is_no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is optional."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert Credentials(HTTPS, None).from_keyring() is None


def test_credentials_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in a debugger's line nor in the advice."""
    monkeypatch.setenv("ZOO_TOKEN_TEAM", "hidden")
    credentials = Credentials(HTTPS, "team")
    credentials.header()
    assert "hidden" not in repr(credentials) + repr(vars(credentials)) + credentials.advice()
    assert "ZOO_TOKEN_TEAM" in credentials.advice()

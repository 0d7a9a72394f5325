"""Web addresses: origins, redirects, and what of them is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import FetchError, InvalidValue
from zoo.store.addresses import Origin, origin_of, redirected, shown


@pytest.mark.parametrize(
    ("address", "origin", "text"),
    [
        ("https://Host.org/a", Origin("https", "host.org", 443), "https://host.org"),
        ("https://host.org./a", Origin("https", "host.org", 443), "https://host.org"),
        ("https://host.org:443", Origin("https", "host.org", 443), "https://host.org"),
        ("http://host.org:8000/", Origin("http", "host.org", 8000), "http://host.org:8000"),
        ("HTTP://[::1]:80/", Origin("http", "::1", 80), "http://[::1]"),
    ],
)
def test_the_origin_of_an_address(address: str, origin: Origin, text: str) -> None:
    """Two spellings of one server are one origin."""
    assert origin_of(address) == origin
    assert str(origin) == text


def test_origins_differ_by_scheme_host_and_port() -> None:
    """Each of the three is another server."""
    addresses = ["https://a", "http://a", "https://b", "https://a:444", "https://a.b"]
    assert len({origin_of(address) for address in addresses}) == len(addresses)


@pytest.mark.parametrize(
    "address",
    ["", "host/a", "https://", "ftp://host", "file:///a", "https://host:x", "https://host:99999"],
)
def test_what_is_no_web_address(address: str) -> None:
    """With the form that it should have, or the reason."""
    with pytest.raises(InvalidValue, match="is no web address"):
        origin_of(address)


def test_an_address_with_a_user_is_refused_without_showing_it() -> None:
    """Addresses are kept in files and printed."""
    with pytest.raises(InvalidValue, match="names a user") as caught:
        origin_of("https://me:hidden@host/a")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("localhost", True),
        ("[::1]", True),
        ("host", False),
        ("10.0.0.1", False),
        ("localhost.evil.org", False),
    ],
)
def test_this_machine_is_known(host: str, loopback: bool) -> None:
    """By its addresses and its own name, and not by what begins alike."""
    assert origin_of(f"http://{host}/").is_loopback is loopback


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b", "https://host/b"),
        ("b", "https://host/a/b"),
        ("//other/b", "https://other/b"),
        ("https://other/b?c", "https://other/b?c"),
    ],
)
def test_where_a_redirect_leads(location: str, target: str) -> None:
    """As a browser would go."""
    assert redirected("https://host/a/x", location) == target


@pytest.mark.parametrize("location", ["http://host/a", "HTTP://host/a", "http://127.0.0.1/"])
def test_no_redirect_leaves_https(location: str) -> None:
    """Not even to this machine."""
    with pytest.raises(FetchError, match=r"from https .* That is not followed"):
        redirected("https://host/a", location)


def test_a_redirect_may_enter_https() -> None:
    """As most that begin with http do."""
    assert redirected("http://host/a", "https://host/a") == "https://host/a"


@given(st.text(max_size=60))
def test_a_redirect_is_followed_to_a_web_address_or_refused(location: str) -> None:
    """Whatever a server says, nothing else happens."""
    try:
        target = redirected("https://host/a", location)
    except FetchError:
        return
    assert origin_of(target).scheme == "https"


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("https://host/a?token=1#b", "https://host/a"),
        ("https://me:hidden@host/a", "https://host/a"),
        ("https://host", "https://host"),
        ("https://host/" + "a" * 300, "https://host/" + "a" * 187 + "..."),
        ("https://host/\x1b[2J\n", r"https://host/\x1b[2J\n"),
    ],
)
def test_what_is_shown_of_an_address(address: str, text: str) -> None:
    """Neither its query nor its user, nothing that a terminal obeys, and not too much."""
    assert shown(address) == text

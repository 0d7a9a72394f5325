"""Web addresses: which origin they belong to, where a redirect may lead, and how they are shown."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from zoo.errors import FetchError, InvalidValue
from zoo.escaping import printable

_PORTS = {"https": 443, "http": 80}


class Origin(NamedTuple):
    """Who is spoken to: credentials of one origin are not for another."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """As it begins an address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def origin_of(address: str) -> Origin:
    """The origin of an address.

    Raises:
        InvalidValue: It is no http or https address, or names a user.
    """
    try:
        parts = urlsplit(address)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError as error:
        raise InvalidValue(f"{shown(address)!r} is no web address: {printable(error)}.") from None
    if scheme not in _PORTS or not host:
        raise InvalidValue(f"{shown(address)!r} is no web address; write https://host/folder.")
    if parts.username is not None:
        raise InvalidValue(
            f"The address at {printable(host)} names a user. Addresses are shown and kept in files: leave it out, and give "
            "credentials in ZOO_TOKEN_<NAME of the registry>, in netrc or in the keyring."
        )
    return Origin(scheme, host.rstrip("."), port or _PORTS[scheme])


def redirected(address: str, location: str | None) -> str:
    """Where a redirect leads.

    Raises:
        FetchError: Nowhere, or where zoo does not follow: from https to http, to a file, to any other scheme.
    """
    if not location:
        raise FetchError(f"{shown(address)} is a redirect to nowhere.")
    try:
        target = urljoin(address, location)
        new = origin_of(target)
    except ValueError as error:  # ours among them
        raise FetchError(f"{shown(address)} redirects to {shown(location)!r}. {error}") from error
    if origin_of(address).scheme == "https" and new.scheme == "http":
        raise FetchError(
            f"{shown(address)} redirects from https to {shown(target)!r}, where anybody on the way could read "
            "and change what comes. That is not followed."
        )
    return target


def shown(address: str) -> str:
    """An address for messages: without its query and user, which may be secrets, escaped, and not too long."""
    start, separator, rest = address.partition("://")
    rest = rest.partition("?")[0].partition("#")[0]
    host, slash, path = rest.partition("/")
    clean = f"{start}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else start
    clean = printable(clean)
    return f"{clean[:200]}..." if len(clean) > 200 else clean

"""Registries on web hosts: plain GET requests, as any static host or mirror answers them."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from zoo.errors import FetchError, InvalidValue, NotFound, Offline, Unavailable
from zoo.store import offline
from zoo.store.addresses import origin_of, redirected, shown
from zoo.store.credentials import Credentials
from zoo.transports import Body

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from zoo.store.connections import Connections

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_MISSING = (404, 410)
_REFUSED = (401, 403, 407)
_LATER = (408, 425, 429, 500, 502, 503, 504)
_NUMBER = re.compile(r"[0-9]{1,18}\Z")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)\Z")


class HttpPlace:
    """The files below a web address.

    Args:
        base: The address, `https://host/folder`.
        registry: The registry's name, by which its credentials go.
        connect: Seconds to wait for a connection.
        read: Seconds to wait for the next bytes.

    Raises:
        InvalidValue: The address is none, or holds a user or a query.
    """

    def __init__(
        self, base: str, *, registry: str | None = None, connect: float = 10, read: float = 30
    ) -> None:
        self._origin = origin_of(base)
        parts = urlsplit(base)
        if parts.query or parts.fragment:
            raise InvalidValue(
                f"{shown(base)}: the address of a registry is that of a folder; leave out what follows '?' or '#'."
            )
        self.base = base.rstrip("/")
        self._credentials = Credentials(self._origin, registry)
        self._times = {"connect": connect, "read": read}
        self._connections: Connections | None = None

    def open(self, path: str, *, start: int = 0, validator: str | None = None) -> Body:
        """Open a file to read from byte `start` on; from its beginning if the server cannot do that.

        Raises:
            Offline: The network is switched off.
            NotFound: The server has no such file.
            Unavailable: It does not answer now.
            FetchError: It refuses, or answers with something that is not the file.
        """
        if offline():
            raise Offline(f"{path} is not fetched: ZOO_OFFLINE forbids the network.")
        address = f"{self.base}/{quote(path)}"
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if validator:
                headers["If-Range"] = validator
        response, final = self._get(address, headers)
        try:
            body = _body(response, final, start, self._times["read"])
        except BaseException:
            response.close()
            raise
        if body is None:  # no range can be had of this file or from this server
            response.close()
            return self.open(path)
        return body

    def _get(self, address: str, headers: dict[str, str]) -> tuple[BaseHTTPResponse, str]:
        """Ask, and follow redirects; credentials go to the registry's own origin only."""
        authorization = self._credentials.header()
        for _ in range(_MOST_REDIRECTS + 1):
            own = origin_of(address) == self._origin
            response = self._ask(address, headers, authorization if own else None)
            if response.status == 401 and own and authorization is None:
                authorization = self._credentials.from_keyring()
                if authorization is not None:
                    response.close()
                    response = self._ask(address, headers, authorization)
            if response.status in _REFUSED:
                response.close()
                raise FetchError(
                    f"{shown(address)}: the server refuses ({_status(response)}). {self._credentials.advice()}"
                )
            if response.status not in _REDIRECTS:
                return response, address
            response.close()
            address = redirected(address, response.headers.get("Location"))
        raise FetchError(
            f"{self.base} redirects more than {_MOST_REDIRECTS} times, lastly to {shown(address)}."
        )

    def _ask(
        self, address: str, headers: dict[str, str], authorization: str | None
    ) -> BaseHTTPResponse:
        from zoo.store.connections import Connections

        if self._connections is None:
            self._connections = Connections(**self._times)
        if authorization is not None:
            headers = {**headers, "Authorization": authorization}
        return self._connections.get(address, headers)


def _body(response: BaseHTTPResponse, address: str, start: int, read: float) -> Body | None:
    """What an answer gives; None if it gives nothing because of the range that was asked for."""
    from zoo.store.connections import pieces

    where, status = shown(address), response.status
    if status == 416 and start:
        return None
    if status in _MISSING:
        raise NotFound(f"{where} is not there ({_status(response)}).")
    if status in _LATER:
        raise Unavailable(
            f"{where}: the server cannot answer now ({_status(response)}).",
            retry_after=_retry_after(response),
        )
    if status != 200 and not (status == 206 and start):
        raise FetchError(f"{where}: the server answers {_status(response)}, which is no file.")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise FetchError(
            f"{where} comes in the encoding {encoding!r:.40}, though none was asked for. Switch off compression of "
            "this folder on the server."
        )
    begin, size = 0, None
    length = response.headers.get("Content-Length", "")
    chunked = response.headers.get("Transfer-Encoding", "").strip().lower() == "chunked"
    if status == 206:
        found = _RANGE.match(response.headers.get("Content-Range", "").strip())
        if found is None or int(found[1]) != start:
            return None
        begin, size = start, None if found[2] == "*" else int(found[2])
    elif _NUMBER.match(length) and not chunked:
        size = int(length)
    validator = _strong(response.headers.get("ETag"))
    return Body(
        pieces(response, address, read=read),
        begin,
        size,
        validator,
        ends=chunked or size is not None,
    )


def _strong(etag: str | None) -> str | None:
    """An ETag that means the same bytes; a weak one does not."""
    return etag if etag and etag.startswith('"') else None


def _retry_after(response: BaseHTTPResponse) -> float | None:
    """The seconds that a server asks to wait. A time of day is compared with the server's own clock."""
    text = response.headers.get("Retry-After", "").strip()
    if _NUMBER.match(text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        since = parsedate_to_datetime(response.headers.get("Date", ""))
        return max(0.0, (until - since).total_seconds())
    except (ValueError, TypeError):
        return None


def _status(response: BaseHTTPResponse) -> str:
    """The number, with our words for it: the server's own may be anything."""
    try:
        return f"{response.status} {HTTPStatus(response.status).phrase}"
    except ValueError:
        return str(response.status)

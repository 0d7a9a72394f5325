"""Connections through urllib3: one request, one answer, and its errors told in zoo's words.

This module imports urllib3, so it is imported when a byte has to be fetched and not before.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from socket import EAI_NONAME, SHUT_RDWR, gaierror, socket
from threading import Event, Timer
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ProxySchemeUnknown,
    ReadTimeoutError,
    SSLError,
)

from zoo import __version__
from zoo.errors import FetchError, Unavailable
from zoo.escaping import printable
from zoo.store.addresses import Origin, origin_of, shown
from zoo.store.pieces import Pieces

_PIECE = 2**20


class _PromptHttp(HTTPConnection):
    """A connection whose answer's head has to be whole in time."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        """Wait for the head of the answer."""
        with _in_time(self.timeout, lambda: self.sock.shutdown(SHUT_RDWR)):
            return super().getresponse()


class _PromptHttps(HTTPSConnection):
    """Such a connection, encrypted."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        """Wait for the head of the answer."""
        with _in_time(self.timeout, lambda: self.sock.shutdown(SHUT_RDWR)):
            return super().getresponse()


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _PromptHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _PromptHttps


class Connections:
    """Open connections, to be used again.

    Args:
        connect: Seconds to wait for a connection.
        read: Seconds to wait for the next bytes.
    """

    def __init__(self, *, connect: float, read: float) -> None:
        self._timeout = urllib3.Timeout(connect=connect, read=read)
        self._managers: dict[str | None, urllib3.PoolManager] = {}
        self._process = os.getpid()

    def get(self, address: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """Ask for an address once: no redirect is followed, nothing is tried again, no body is read.

        Raises:
            Unavailable: No answer came; later one may.
            FetchError: None will.
        """
        with _in_our_words(address):
            manager = self._manager(_proxy_for(origin_of(address)))
            return manager.request(
                "GET",
                address,
                headers={"User-Agent": f"attn-zoo/{__version__}", **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=self._timeout,
            )

    def _manager(self, proxy: str | None) -> urllib3.PoolManager:
        if self._process != os.getpid():  # after a fork the parent's connections are the parent's
            self._managers, self._process = {}, os.getpid()
        if proxy not in self._managers:
            manager = _through(proxy) if proxy else urllib3.PoolManager()
            manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
            self._managers[proxy] = manager
        return self._managers[proxy]


def pieces(response: urllib3.BaseHTTPResponse, address: str, *, read: float) -> Pieces:
    """The body of an answer as it comes; closing it drops the rest, and the connection.

    Args:
        response: The answer.
        address: Where it came from.
        read: Seconds to wait for the next bytes.

    Raises:
        Unavailable: It broke off, or nothing came for too long.
    """

    def receive() -> Iterator[bytes]:
        with _in_our_words(address):
            while piece := next_one():
                yield piece

    def next_one() -> bytes:
        # Before each chunk stands its size, which is no piece of the body: it, too, has to be whole in time.
        with _in_time(read, lambda: _shut(response)) if response.chunked else nullcontext():
            return response.read1(_PIECE)

    return Pieces(receive(), response.close)


def _through(proxy: str) -> urllib3.PoolManager:
    parts = urlsplit(proxy)
    headers = None
    if parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
        headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}")
    return urllib3.ProxyManager(proxy, proxy_headers=headers)


def _proxy_for(origin: Origin) -> str | None:
    if origin.is_loopback or proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    proxies = getproxies()
    proxy = proxies.get(origin.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


@contextmanager
def _in_time(timeout: float | None, cut: Callable[[], None]) -> Iterator[None]:
    """Cut a connection off if this takes longer than twice its timeout, which begins anew with each byte."""
    late = Event()

    def end() -> None:
        late.set()
        with suppress(OSError, AttributeError):  # it is closed already
            cut()

    timer = Timer(2 * float(timeout or 0), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if late.is_set():  # what was read until then looks whole
            raise TimeoutError


def _shut(response: urllib3.BaseHTTPResponse) -> None:
    with socket(fileno=os.dup(response.fileno())) as connection:
        connection.shutdown(SHUT_RDWR)


@contextmanager
def _in_our_words(address: str) -> Iterator[None]:
    where = shown(address)
    try:
        yield
    except SSLError as error:
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in error.args):
            raise FetchError(
                f"{where}: the server's certificate is not valid ({printable(error)}). Nothing was fetched. Behind a "
                "company's proxy, set SSL_CERT_FILE to its certificates."
            ) from error
        raise Unavailable(
            f"{where}: the encrypted connection failed ({printable(error)})."
        ) from error
    except (LocationValueError, ProxySchemeUnknown) as error:
        raise FetchError(f"{where} cannot be reached: {printable(error)}.") from error
    except InvalidHeader as error:
        raise FetchError(
            f"{where} answers with a header that contradicts itself: {printable(error)}."
        ) from error
    except NameResolutionError as error:
        raise Unavailable(
            f"{where}: the host's name is not known here. Is the address right, and is there a network?",
            absent=_is_absent(error),
        ) from error
    except ProxyError as error:
        raise Unavailable(
            f"{where}: the proxy that the environment names does not let through ({_reason(error)}).",
            absent=_is_absent(error),
        ) from error
    except (ConnectTimeoutError, NewConnectionError) as error:
        raise Unavailable(
            f"{where} cannot be reached: {_reason(error)}.", absent=_is_absent(error)
        ) from error
    except (ReadTimeoutError, TimeoutError) as error:
        raise Unavailable(f"{where}: the server did not go on in time.") from error
    except HTTPError as error:
        raise Unavailable(f"{where}: the connection broke off ({_reason(error)}).") from error


def _is_absent(error: BaseException | None) -> bool:
    """Whether the host says that nobody listens there, or the name service that there is no such host."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        if isinstance(error, gaierror):
            return error.errno == EAI_NONAME
        error = error.__cause__ or error.__context__
    return False


def _reason(error: HTTPError) -> str:
    return printable(str(error).rpartition(": ")[2] or type(error).__name__)

"""The files of a registry in a model repository of the Hugging Face hub.

Endpoint and token are those of huggingface_hub (`HF_ENDPOINT`, `HF_TOKEN`, `hf auth login`), and its client makes the
connections. Files are read as the hub gives them, from where it redirects to, and kept in zoo's own cache.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zoo import Body, FetchError, InvalidValue, MissingExtra, NotFound, Offline, Unavailable

_BASE = re.compile(r"hf://(\w[\w.-]*/\w[\w.-]*)(?:@(\w[\w.-]*(?:/\w[\w.-]*)*))?/?\Z", re.ASCII)
_PART = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+)\Z")
_QUERY = re.compile(r"\?[^\s\"')]+")
_PATIENCE = 30.0  # seconds without a byte


class HubPlace:
    """The files of a repository at a revision.

    Args:
        base: Its address, `hf://org/repo@revision`; without a revision its branch `main`.

    Raises:
        InvalidValue: It is of another form.
        MissingExtra: huggingface_hub is not installed, or too old.
    """

    def __init__(self, base: str) -> None:
        match = _BASE.match(base)
        if match is None:
            raise InvalidValue(f"{base!r:.200} names no repository; write hf://org/repo@revision.")
        self._repository, self._revision = match[1], match[2] or "main"
        self._base = base.rstrip("/")
        try:
            from huggingface_hub import get_session, get_token, hf_hub_url
        except ImportError as error:
            raise MissingExtra(
                f"{base} is on the Hugging Face hub, which needs huggingface_hub 1.0 or newer: "
                "pip install 'attn-zoo[hf]'."
            ) from error
        self._session, self._token, self._url = get_session, get_token, hf_hub_url

    def open(self, path: str, *, start: int = 0, validator: str | None = None) -> Body:
        """Open a file to read from byte `start` on; from its beginning if it is no longer that of `validator`."""
        where = f"{self._base}/{path}"
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if validator is not None:
                headers["If-Range"] = validator
        with _translated(where):
            answer = self._ask(path, headers)
        try:
            if start and not _continues(answer, start):
                answer.close()
                return self.open(path)
            _check(answer, where)
        except FetchError:
            answer.close()
            raise
        begin, size = _extent(answer)
        tag = answer.headers.get("ETag", "")
        pieces = _pieces(answer, where)
        next(pieces)  # begun, so that closing it closes the connection
        return Body(
            pieces,
            begin,
            size,
            tag if tag.startswith('"') else None,
            ends=size is not None or "Transfer-Encoding" in answer.headers,
        )

    def _ask(self, path: str, headers: dict[str, str]) -> Any:
        endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
        url = self._url(self._repository, path, revision=self._revision, endpoint=endpoint)
        if token := self._token():
            headers = {**headers, "Authorization": f"Bearer {token}"}
        session = self._session()
        request = session.build_request("GET", url, headers=headers, timeout=_PATIENCE)
        # The client leaves the token behind where it is redirected to another host.
        return session.send(request, stream=True, follow_redirects=True)


def _continues(answer: Any, start: int) -> bool:
    """Whether an answer to the question for a part is of use: not one that there is no such part, or another one."""
    if answer.status_code != 206:
        return bool(answer.status_code != 416)
    part = _PART.match(answer.headers.get("Content-Range", ""))
    return part is not None and int(part[1]) == start


def _check(answer: Any, where: str) -> None:
    """Raise an error for an answer that is not the file."""
    hops = [one.url.scheme for one in (*answer.history, answer)]
    if hops[0] == "https" and set(hops) != {"https"}:
        raise FetchError(
            f"{where}: the hub redirects to an address without TLS, which is not used."
        )
    status, code = answer.status_code, answer.headers.get("X-Error-Code")
    if code == "GatedRepo":
        raise FetchError(
            f"{where} is in a repository that asks for consent: accept its terms on its page, then log in "
            "(`hf auth login`) or set HF_TOKEN."
        )
    if code == "RepoNotFound" or status == 401:
        raise NotFound(
            f"There is no {where}: the repository does not exist, or is private and no token of yours opens it "
            "(`hf auth login`, or HF_TOKEN)."
        )
    if status == 404:
        raise NotFound(f"There is no {where}.")
    if status == 429 or status >= 500:
        asked = answer.headers.get("Retry-After", "")
        seconds = float(asked) if asked.isdecimal() else None
        raise Unavailable(f"{where}: the hub answers {status}.", retry_after=seconds)
    if status != 200 and not (status == 206 and "Range" in answer.request.headers):
        raise FetchError(f"{where}: the hub answers {status}.")
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise FetchError(f"{where} comes as {encoding!r:.40}, which was not asked for.")


def _extent(answer: Any) -> tuple[int, int | None]:
    """Where the answer begins in its file, and the size of the whole."""
    part = _PART.match(answer.headers.get("Content-Range", ""))
    if answer.status_code == 206 and part is not None:
        return int(part[1]), int(part[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _pieces(answer: Any, where: str) -> Iterator[bytes]:
    """Nothing first, then the bytes as they come."""
    try:
        yield b""
        with _translated(where):
            yield from answer.iter_raw()
    finally:
        answer.close()


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Raise zoo's errors where there is no answer, or no end of it."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    # The base of all that the client raises; which HTTP library that is depends on the release.
    no_answer: type[Exception] = HfHubHTTPError.__mro__[1]
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise Offline(f"{where} is not cached, and HF_HUB_OFFLINE forbids the network.") from error
    except (no_answer, OSError) as error:
        # Addresses of the storage carry a signature in their query, which nobody should see.
        raise Unavailable(f"{where}: {_QUERY.sub('?...', str(error))[:300]}") from error

"""The files of a registry in an object store.

Store, region, endpoint and credentials come from the environment, by the names that obstore reads:
`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`,
`AZURE_STORAGE_ACCOUNT_KEY` and so on. `AWS_SKIP_SIGNATURE=true` reads a public bucket without any;
`AWS_ALLOW_HTTP=true` takes an endpoint without TLS. Writing is conditional: a file is made only where there is none
(If-None-Match) and replaced only as it was read (If-Match).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zoo import (
    AlreadyThere,
    Body,
    FetchError,
    InvalidValue,
    MissingExtra,
    NotFound,
    Unavailable,
)

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

_BASE = re.compile(r"(s3|gs|az)://[^/?#@\s]+(/[^?#\s]*)?\Z")
_QUERY = re.compile(r"\?[^\s\"')]+")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# A reader is given up when nothing comes for so long; a writer must have the time to send a large file.
_READING: ClientConfig = {"connect_timeout": "10s", "read_timeout": "30s", "timeout": "1day"}
_WRITING: ClientConfig = {"connect_timeout": "10s", "timeout": "6h"}


class CloudPlace:
    """The files below a folder of a bucket.

    Args:
        base: Its address, e.g. `s3://bucket/folder`.

    Raises:
        InvalidValue: It is of another form, or the environment is.
        MissingExtra: obstore is not installed.
    """

    def __init__(self, base: str) -> None:
        if not _BASE.match(base):
            raise InvalidValue(
                f"{base!r:.200} names no folder of a bucket; write s3://bucket/folder."
            )
        self._base = base.rstrip("/")
        self._reader = _store(self._base, _READING)
        self._writer = _store(self._base, _WRITING)

    def open(self, path: str, *, start: int = 0, validator: str | None = None) -> Body:
        """Open a file to read from byte `start` on; from its beginning if it is no longer that of `validator`."""
        import obstore
        from obstore.exceptions import GenericError, PreconditionError

        where = f"{self._base}/{path}"
        options: Any = {"range": {"offset": start}} if start else {}
        if start and validator is not None and (tag := json.loads(validator).get("e_tag")):
            options["if_match"] = tag
        with _translated(where):
            try:
                answer = obstore.get(self._reader, path, options=options)
            except PreconditionError:
                if not start:
                    raise
                return self.open(path)
            except GenericError:
                if start and obstore.head(self._reader, path)["size"] <= start:
                    return self.open(path)
                raise
            meta = answer.meta
            version = {name: meta.get(name) for name in ("e_tag", "version")}
            # As they come: zoo sees by that whether a store is too slow.
            pieces = _pieces(iter(answer.stream(min_chunk_size=1)), where)
            return Body(pieces, answer.range[0], meta["size"], _validator(version))

    def create(self, path: str, content: bytes) -> None:
        """Write a file that is not there yet."""
        self._put(path, content, "create")

    def replace(self, path: str, content: bytes, *, validator: str) -> None:
        """Write a file in place of the one with that validator."""
        self._put(path, content, json.loads(validator))

    def _put(self, path: str, content: bytes, mode: Any) -> None:
        import obstore

        with _translated(f"{self._base}/{path}"):
            obstore.put(self._writer, path, content, mode=mode, use_multipart=False)


def _store(base: str, options: ClientConfig) -> ObjectStore:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise MissingExtra(
            f"{base} is in an object store, which needs obstore: pip install 'attn-zoo[cloud]'."
        ) from error
    plain = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
    for name in _ENDPOINTS:
        if os.environ.get(name, "").startswith("http://") and base.startswith("s3:") and not plain:
            raise InvalidValue(f"{name} is without TLS. If that is meant, set AWS_ALLOW_HTTP=true.")
    try:
        # zoo tries again by itself, and knows when it got on.
        return from_url(
            base,
            client_options={**options, "allow_http": plain},
            retry_config={"max_retries": 0},
        )
    except (BaseError, ValueError) as error:
        raise InvalidValue(f"{base} cannot be used: {_in_short(error)}") from error


def _validator(version: dict[str, Any]) -> str | None:
    """The text of a version. Some stores tell versions by their tag, others by a number: both are kept."""
    known = {name: value for name, value in version.items() if value is not None}
    return json.dumps(known) if known else None


def _pieces(stream: Iterator[Any], where: str) -> Iterator[bytes]:
    with _translated(where):
        for piece in stream:
            yield bytes(piece)


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Raise zoo's errors for those of obstore."""
    from obstore import exceptions as theirs

    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"There is no {where}.") from None
    except (theirs.AlreadyExistsError, theirs.PreconditionError) as error:
        raise AlreadyThere(f"{where} is there already, or was changed meanwhile.") from error
    except (theirs.PermissionDeniedError, theirs.UnauthenticatedError) as error:
        raise FetchError(
            f"{where}: the store refuses it; check the credentials in the environment. {_in_short(error)}"
        ) from error
    except (theirs.NotSupportedError, theirs.InvalidPathError) as error:
        raise FetchError(f"{where}: {_in_short(error)}") from error
    except (theirs.BaseError, OSError) as error:
        raise Unavailable(f"{where}: {_in_short(error)}") from error


def _in_short(error: Exception) -> str:
    """The first line of a message, without the queries of addresses: some carry a signature."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return _QUERY.sub("?...", lines[0])[:300]

"""Fetching: bytes come from a place, and become a blob of the cache only when they are the right ones.

    cached? -> my turn -> copy what an earlier process left -> receive the rest -> size, sha256 -> sync, rename

Every step can be cut off at any moment: what is in the cache under a digest was verified, whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from zoo.errors import FetchError, Offline, Unavailable
from zoo.store import blob_name, offline
from zoo.store.cache import Cache, cannot_write
from zoo.store.folder import FolderPlace
from zoo.store.partials import Partial, turn
from zoo.store.patience import PATIENCE, Patience, briskly, patiently
from zoo.transports import Body, Place, Progress


class Fetched(NamedTuple):
    """A small file, whole, and the text that changes when it changes (None if the place has none)."""

    content: bytes
    validator: str | None


def fetch_blob(
    place: Place,
    sha256: str,
    size: int,
    cache: Cache,
    *,
    progress: Progress | None = None,
    patience: Patience = PATIENCE,
) -> Path:
    """Return where a blob is in the cache, after fetching it if it is not there yet.

    What was fetched is verified. What was there already has the right name and size; its bytes are verified by
    whoever reads it.

    Args:
        place: The registry's place.
        sha256: Digest of the blob.
        size: Its size in bytes, as published. Not a byte more is kept, nor many more read.
        cache: Where it is kept.
        progress: Called with the bytes that are there and those that there will be, after each piece.
        patience: How long to wait, and how often to try.

    Raises:
        Offline: It is not cached, and the network is switched off.
        NotFound: The place does not have it.
        DigestMismatch: The place has another file in its stead.
        Unavailable: The place does not answer, or too slowly; what came is kept for the next time.
        FetchError: The cache cannot be written to, or the place gives something that is not the file.
    """
    if found := cache.find(sha256, size):
        return found
    _check_online(place, f"The blob sha256:{sha256}")
    with turn(
        cache,
        sha256,
        has_come=lambda: cache.find(sha256, size) is not None,
        stuck=2 * patience.window,
    ):
        if found := cache.find(sha256, size):
            return found
        with _partial(cache, sha256, size) as partial:
            return patiently(
                lambda: _complete(partial, place, cache, progress, patience),
                patience,
                done=lambda: partial.done,
            )


def fetch_bytes(place: Place, path: str, *, limit: int, patience: Patience = PATIENCE) -> Fetched:
    """Return a small file of a place, whole: an index.

    Args:
        place: The registry's place.
        path: The file's path below it.
        limit: At most so many bytes are read.
        patience: How long to wait, and how often to try.

    Raises:
        Offline: The network is switched off.
        NotFound: There is no such file.
        Unavailable: The place does not answer, or too slowly.
        FetchError: The file is larger than `limit`, or is something else.
    """
    _check_online(place, path)

    def receive() -> Fetched:
        body = place.open(path)
        content = bytearray()
        with _chunks(body, path, patience) as chunks:
            if not body.ends:
                raise FetchError(
                    f"{path} comes without its length, so that nobody can tell whether it is whole. The server has "
                    "to send Content-Length, as static hosts do."
                )
            if (body.size or 0) > limit:
                raise FetchError(f"{path} has {body.size} bytes; at most {limit} are read.")
            for chunk in chunks:
                content += chunk
                if len(content) > limit:
                    raise FetchError(f"{path} has more than {limit} bytes, the most that are read.")
        if body.size is not None and len(content) != body.size:
            raise Unavailable(f"{path} ended after {len(content)} of {body.size} bytes.")
        return Fetched(bytes(content), body.validator)

    return patiently(receive, patience)


@contextmanager
def _partial(cache: Cache, sha256: str, size: int) -> Iterator[Partial]:
    """A file for the bytes, which stays if it may help the next process."""
    partial = Partial(cache, sha256, size)
    try:
        partial.copy_older()
        _check_space(cache, size - partial.done)
        yield partial
    except Unavailable as error:
        if not partial.done:
            raise
        raise Unavailable(
            f"{error} {partial.done} of {size} bytes are kept for the next time.",
            retry_after=error.retry_after,
        ) from error
    except FetchError:  # the disk is full, or what came is of no use
        partial.delete()
        raise
    finally:
        partial.close()


def _complete(
    partial: Partial, place: Place, cache: Cache, progress: Progress | None, patience: Patience
) -> Path:
    """Receive what is missing, verify all, and put it in the cache."""
    while not partial.is_right():
        if partial.done == partial.size:
            partial.refuse(_name(partial))
        _receive(partial, place, progress or _ignore, patience)
    try:
        return partial.finish()
    except Unavailable:
        if found := cache.find(partial.sha256, partial.size):
            partial.delete()  # whoever deleted the first one had fetched the blob himself
            return found
        raise


def _receive(partial: Partial, place: Place, progress: Progress, patience: Patience) -> None:
    """Append the bytes that are missing."""
    name, size = _name(partial), partial.size
    body = place.open(name, start=partial.done, validator=partial.validator)
    with _chunks(body, name, patience) as chunks:
        if body.size not in (None, size):
            raise FetchError(
                f"{name} has {body.size} bytes where it lies; published were {size}. Tell whoever keeps that "
                "registry, or fetch from another mirror."
            )
        partial.continue_with(body)
        progress(partial.done, size)
        for chunk in chunks:
            if partial.done + len(chunk) > size:
                raise FetchError(f"{name} goes on after the {size} bytes that were published.")
            partial.write(chunk)
            progress(partial.done, size)
    if partial.done < size:
        raise Unavailable(f"{name} ended after {partial.done} of {size} bytes.")


@contextmanager
def _chunks(body: Body, name: str, patience: Patience) -> Iterator[Iterator[bytes]]:
    """The pieces of a body, which come fast enough and are no web page; let go of at the end."""
    try:
        pieces = briskly(body.chunks, patience, name)
        first = next(pieces, b"")
        if body.start == 0 and first.lstrip()[:14].lower().startswith(
            (b"<!doctype html", b"<html")
        ):
            raise FetchError(
                f"{name} is a web page, not the file: something between here and the registry asks to log in, "
                "or answers for what is not there. Open the registry's address in a browser to see it."
            )
        yield chain((first,), pieces)
    finally:
        close = getattr(body.chunks, "close", None)
        if close is not None:
            close()


def _check_online(place: Place, what: str) -> None:
    if offline() and not isinstance(place, FolderPlace):
        raise Offline(
            f"{what} is not cached, and ZOO_OFFLINE forbids the network. Unset it, or fetch first."
        )


def _check_space(cache: Cache, missing: int) -> None:
    found = os.statvfs(cache.partial_folder)
    free = found.f_bavail * found.f_frsize
    if found.f_blocks and free < missing:  # some file systems do not know their size
        full = OSError(ENOSPC, f"{missing} bytes are needed and {free} are free")
        raise cannot_write(cache.root, full)


def _name(partial: Partial) -> str:
    return blob_name(partial.sha256)


def _ignore(done: int, total: int) -> None:
    """Show no progress."""

"""Transports: how the files of a registry are reached where they lie.

A registry is a folder of files, so a transport needs few verbs. Its class is made with the address of the
folder and answers for the files below it. Paths are relative, with slashes, and made by zoo alone:
`registry.yaml` or `blobs/sha256/ab/<64 hex>`. Resuming, retries, size limits, digests, atomic writes and progress
are zoo's work and the same for every transport.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from zoo.errors import InvalidValue, PluginError

# Called with the bytes that came so far, and those that there will be.
Progress = Callable[[int, int], None]
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z")


class Body(NamedTuple):
    """The answer to `Place.open`.

    Attributes:
        chunks: The bytes, in pieces of at most 1 MiB or so: whatever has come, rather than waiting until a piece
            is full, because that is how zoo sees that a place is too slow. Closing the iterator
            (`chunks.close()` of a generator) lets go of the connection.
        start: Where in the file the first piece begins: what was asked for, or 0 where the place cannot
            begin in the middle.
        size: Size of the whole file in bytes; None if the place does not say.
        validator: A text that changes when the file changes (an ETag); None if there is none.
        ends: Whether its end can be told from a connection that broke off, by the size or in another way.
    """

    chunks: Iterator[bytes]
    start: int = 0
    size: int | None = None
    validator: str | None = None
    ends: bool = True


class Place(Protocol):
    """What the class of a transport does: the files under one address.

    Raises:
        NotFound: There is no such file.
        Unavailable: It may work later (busy, broken connection); zoo tries again.
        FetchError: It will not work; the message says why.
    """

    def __init__(self, base: str) -> None:
        """Take the address of the folder, e.g. `https://models.example.org/zoo`. Opens no connection."""

    def open(self, path: str, *, start: int = 0, validator: str | None = None) -> Body:
        """Open a file to read from byte `start` on; with `validator`, only if it is still that file."""


class WritablePlace(Place, Protocol):
    """A place that can be published to."""

    def create(self, path: str, content: bytes) -> None:
        """Write a file that is not there yet.

        Raises:
            AlreadyThere: There is one; it is left as it is.
        """

    def replace(self, path: str, content: bytes, *, validator: str) -> None:
        """Write a file in place of the one with that validator.

        Raises:
            AlreadyThere: It was changed meanwhile; it is left as it is.
        """


class Transport:
    """A transport as a plug-in offers it: light, its class imported when first used.

    Args:
        schemes: What addresses begin with, e.g. `("s3",)` for `s3://bucket/folder`.
        target: Where its class (a `Place`) is: `"package.module:Class"`.
        summary: One line for people.
        distribution: The installed distribution it came with; set at discovery.

    Raises:
        InvalidValue: There is no scheme, or one is of the wrong form.
    """

    def __init__(
        self,
        *,
        schemes: tuple[str, ...],
        target: str,
        summary: str = "",
        distribution: str | None = None,
    ) -> None:
        if not schemes or not all(_SCHEME.match(scheme) for scheme in schemes):
            raise InvalidValue(
                f"Transport schemes are {schemes!r}; give a tuple of lower-case words, e.g. ('s3',)."
            )
        self.schemes, self.target = schemes, target
        self.summary, self.distribution = summary, distribution

    def load(self) -> Any:
        """Import and return the class.

        Raises:
            PluginError: The module cannot be imported, or has no such class.
        """
        module, _, name = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (Exception, SystemExit) as error:  # whatever its module does when it is imported
            raise PluginError(
                f"The transport {self.schemes[0]}:// of {self.distribution or 'this process'} cannot be loaded from "
                f"{self.target!r}: {type(error).__name__}: {error}"
            ) from error


BUILT_IN = (
    Transport(
        schemes=("https", "http"),
        target="zoo.store.http:HttpPlace",
        summary="any static web host, with resuming",
        distribution="attn-zoo",
    ),
    Transport(
        schemes=("file",),
        target="zoo.store.folder:FolderPlace",
        summary="a folder of this machine",
        distribution="attn-zoo",
    ),
)

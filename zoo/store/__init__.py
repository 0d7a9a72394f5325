"""Blobs: files named by the sha256 of their bytes, and reading them verified."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from zoo.errors import DigestMismatch, InvalidValue, WeightsError
from zoo.files import read_whole

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def cache_folder() -> Path:
    """The user's cache: `ZOO_CACHE`, else `zoo` in `XDG_CACHE_HOME` or `~/.cache`."""
    chosen = os.environ.get("ZOO_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "zoo"


def offline() -> bool:
    """Whether `ZOO_OFFLINE` forbids the network."""
    return os.environ.get("ZOO_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def blob_path(root: Path, sha256: str) -> Path:
    """Where a blob is in the folder of a registry: given by its digest and by nothing else."""
    return root / blob_name(sha256)


def is_digest(text: str) -> bool:
    """Whether a text is a sha256 as zoo writes them."""
    return _DIGEST.match(text) is not None


def blob_name(sha256: str) -> str:
    """The path of a blob below the address of a registry.

    Raises:
        InvalidValue: The digest is not 64 hexadecimal digits in lower case.
    """
    if not is_digest(sha256):
        raise InvalidValue(f"{sha256!r:.80} is no sha256: 64 hexadecimal digits in lower case.")
    return f"blobs/sha256/{sha256[:2]}/{sha256}"


def read_blob(root: Path, sha256: str, size: int) -> bytearray:
    """Return the bytes of a blob, verified: the bytes that were hashed are the bytes returned.

    Raises:
        WeightsError: It is not there, or cannot be read.
        DigestMismatch: Its size or its bytes are not those that were published.
    """
    path = blob_path(root, sha256)
    if not path.is_file():
        raise WeightsError(
            f"The weights sha256:{sha256} are not in {root}. Fetch that registry again."
        )
    content = read_whole(path, limit=size)
    found = hashlib.sha256(content).hexdigest()
    if len(content) != size or found != sha256:
        raise DigestMismatch(
            f"{path} is damaged: {len(content)} bytes with sha256 {found}, published were {size} bytes with "
            f"sha256 {sha256}."
        )
    return content

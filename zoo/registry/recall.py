"""The digest of a large file, remembered for as long as the file is the same.

A registry of a hundred thousand variants is 100 MB of text: hashing it again would take longer than all
else that a look-up does. The same is what has the same place, size and times of change; the time at which the
system last changed it is among them, which no program can set. A file that was changed just now is not
remembered: it could change once more within the same tick of the clock.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from zoo.registry.private import read_private

LARGE = 2**22
_SETTLED = 2.0
_DIGEST = re.compile(rb"[0-9a-f]{64}\Z")


class Recall:
    """What is remembered of a file, as it is at this moment: to be made before the file is read.

    Args:
        file: The open file.
        folder: A private folder for what is remembered.
    """

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        found = os.fstat(file.fileno())
        self._is_large = found.st_size >= LARGE
        self._is_settled = time.time() - max(found.st_ctime, found.st_mtime) > _SETTLED
        parts = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        self._note = folder / f"{hashlib.sha256(repr(parts).encode()).hexdigest()}.digest"

    def digest(self) -> str | None:
        """The digest of the file, if it is known."""
        if self._is_large:
            with suppress(OSError):
                content = read_private(self._note)
                if _DIGEST.match(content):
                    return content.decode()
        return None

    def remember(self, digest: str) -> None:
        """Note the digest of what was read."""
        if not (self._is_large and self._is_settled):
            return
        temporary = self._note.with_name(f".{self._note.name}.{os.urandom(8).hex()}.tmp")
        with suppress(OSError):  # it is only slower without
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as written:
                written.write(digest.encode())
            os.replace(temporary, self._note)

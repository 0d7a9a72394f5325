"""Hashing beside other work: sha256 costs as much time as receiving and writing together."""

from __future__ import annotations

import hashlib
from queue import Queue
from threading import Thread

_AHEAD = 8  # pieces that may wait: memory must not grow with the file


class BackgroundSha256:
    """A sha256 that a thread computes. Close it at the end."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._queue: Queue[bytes | None] = Queue(_AHEAD)
        self._thread = Thread(target=self._work, name="zoo-sha256", daemon=True)
        self._thread.start()

    def update(self, piece: bytes) -> None:
        """Add bytes; waits only if the thread is far behind."""
        self._queue.put(piece)

    def hexdigest(self) -> str:
        """The digest of all bytes that were added."""
        self._queue.join()
        return self._digest.hexdigest()

    def reset(self) -> None:
        """Forget all bytes."""
        self._queue.join()
        self._digest = hashlib.sha256()

    def close(self) -> None:
        """End the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (piece := self._queue.get()) is not None:
            self._digest.update(piece)
            self._queue.task_done()

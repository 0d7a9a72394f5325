"""The bytes of a file in pieces, and what is closed with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator


class Pieces:
    """An iterator of bytes that can be closed at any time.

    A generator that nobody has begun with forgets to close what it was given.

    Args:
        pieces: The bytes.
        close: Closes what they come from; called at their end, at an error, and by `close`.
    """

    def __init__(self, pieces: Iterator[bytes], close: Callable[[], None]) -> None:
        self._pieces, self.close = pieces, close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except BaseException:  # the end among them
            self.close()
            raise

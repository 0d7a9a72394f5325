"""How long zoo waits for a server, how often it tries again, and when it is too slow to wait for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from zoo.errors import Unavailable

Result = TypeVar("Result")


class Patience(NamedTuple):
    """Times in seconds, sizes in bytes.

    Attributes:
        attempts: How often one thing is tried that fails without getting on.
        attempts_absent: ... where there is no server, and was none before.
        pause: Before the second attempt; doubled before each further one, with some chance in it.
        longest_pause: No pause is longer, except where the server asks for one.
        longest_asked: A server that asks for a longer pause is not waited for.
        enough: An attempt that brought so many bytes got on, and is followed by as many new ones.
        minimum_rate: Bytes a second that have to come ...
        window: ... over so long a time.
    """

    attempts: int = 5
    attempts_absent: int = 2
    pause: float = 0.5
    longest_pause: float = 15
    longest_asked: float = 120
    enough: int = 2**20
    minimum_rate: float = 1024
    window: float = 20


PATIENCE = Patience()


def patiently(
    action: Callable[[], Result], patience: Patience, *, done: Callable[[], int] = lambda: 0
) -> Result:
    """Do something, and again after a pause while it fails with `Unavailable`.

    Args:
        action: What to do.
        patience: How often, and how long the pauses are.
        done: How many bytes there are; an attempt that brings `patience.enough` starts the count anew.

    Raises:
        Unavailable: It failed every time; the message is that of the last.
    """
    failures, came = 0, False
    while True:
        before = done()
        try:
            return action()
        except Unavailable as error:
            failures = 1 if done() - before >= patience.enough else failures + 1
            came = came or done() > before
            # A server that sent something and is gone may be starting anew; of one that never was, a slip is likelier.
            hopeless = error.absent and not came and failures >= patience.attempts_absent
            asked = error.retry_after or 0
            if asked > patience.longest_asked:
                raise Unavailable(
                    f"{error} The server asks to wait {asked:.0f} s, too long to wait here. Try again then.",
                    retry_after=asked,
                ) from error
            if hopeless or failures >= patience.attempts:
                raise Unavailable(
                    f"{error} Tried {failures} times; try again later.",
                    retry_after=error.retry_after,
                ) from error
        doubled = min(patience.pause * 2 ** (failures - 1), patience.longest_pause)
        time.sleep(max(asked, doubled * random.uniform(0.5, 1)))  # noqa: S311 - so that many clients spread


def briskly(chunks: Iterator[bytes], patience: Patience, what: str) -> Iterator[bytes]:
    """Pass chunks on while they come fast enough. Only time spent waiting for them counts.

    Raises:
        Unavailable: Over a window fewer bytes came than the minimum rate allows.
    """
    waited, came = 0.0, 0
    while True:
        begin = time.monotonic()  # not the clock on the wall, which may be set meanwhile
        chunk = next(chunks, None)
        waited += time.monotonic() - begin
        if chunk is None:
            return
        came += len(chunk)
        if waited >= patience.window:
            if came < patience.minimum_rate * waited:
                raise Unavailable(
                    f"{what}: {came} bytes came in {waited:.1f} s, which is too slow to wait for."
                )
            waited, came = 0.0, 0
        yield chunk

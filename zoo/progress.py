"""A bar that shows how far a download is, on a terminal and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zoo.transports import Progress

if TYPE_CHECKING:
    from tqdm import tqdm


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Give a function that takes the bytes that came and those there will be, and draws them.

    Nothing is drawn before it is called, nor where the error output is no terminal.
    """
    bars: list[tqdm[None]] = []

    def show(done: int, total: int) -> None:
        if not bars:
            from tqdm import tqdm

            bars.append(
                tqdm(
                    desc=label,
                    initial=done,  # what an earlier download left is no part of the speed
                    total=total,
                    unit="B",
                    unit_scale=True,
                    leave=False,
                    disable=None,
                )
            )
        bars[0].update(done - bars[0].n)

    try:
        yield show
    finally:
        for bar in bars:
            bar.close()

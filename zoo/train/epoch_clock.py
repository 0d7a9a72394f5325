"""How long an epoch takes, over all sittings in which it is trained."""

from __future__ import annotations

import time
from typing import Any

clock = time.monotonic  # in seconds


class EpochClock:
    """The time of an epoch, of its training alone, and of the batches that waited for a compiler.

    Args:
        compiled: Whether the first batch of this sitting waits for one.

    Attributes:
        waited: Seconds that such batches of this epoch took.
    """

    def __init__(self, *, compiled: bool = False) -> None:
        self.waited = 0.0
        self._batches_waited = 0
        self._waits = compiled
        self._started = self._before = self._batch_started = 0.0
        self._trained: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of an epoch that is not complete."""
        return {
            "seconds": self._training_seconds(),
            "compiling": self.waited,
            "compiled": self._batches_waited,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up."""
        self._before = state_dict["seconds"]
        # A checkpoint of before compilers were told apart has neither.
        self.waited = state_dict.get("compiling", 0.0)
        self._batches_waited = state_dict.get("compiled", 0)

    def go_on(self) -> None:
        """A sitting begins, maybe inside an epoch."""
        self._started = clock() - self._before

    def start(self) -> None:
        """An epoch begins."""
        self._started, self._trained = clock(), None
        self.waited, self._batches_waited = 0.0, 0

    def start_batch(self) -> None:
        """A batch begins."""
        self._batch_started = clock()

    def end_batch(self) -> None:
        """It ends; of a sitting's first one how long it took is taken down, if it waited for a compiler."""
        if self._waits:
            self._waits = False
            self.waited += clock() - self._batch_started
            self._batches_waited += 1

    def end_training(self) -> None:
        """All batches were trained on; validation begins."""
        self._trained = clock()

    def seconds(self) -> float:
        """Seconds of the epoch so far, validation included."""
        return clock() - self._started

    def rate(self, batches: int, batch_size: int) -> float:
        """Samples a second of the training; batches that waited are left aside, unless there are no others."""
        waited, aside = 0.0, 0
        if batches > self._batches_waited:
            waited, aside = self.waited, self._batches_waited
        return (batches - aside) * batch_size / max(self._training_seconds() - waited, 1e-9)

    def _training_seconds(self) -> float:
        return (clock() if self._trained is None else self._trained) - self._started

"""Ctrl-C, a closed terminal, or the SIGTERM of a scheduler, inside an epoch: finish the batch, keep a checkpoint, stop.

A signal only asks. Between two batches nothing is half done, and several processes can agree on the same one.
After an epoch's last batch the next such place is its validation; stopped there, the run goes on with that
validation from its beginning.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from zoo.train.processes import of_all
from zoo.train.task import LOOKS

# Each with what is said when it comes.
_SIGNALS = {
    signal.SIGINT: "Stopping after this batch; Ctrl-C again stops at once, and loses what is not kept yet.",
    signal.SIGTERM: "SIGTERM came: stopping after this batch.",
    signal.SIGHUP: "The terminal was closed (SIGHUP): stopping after this batch.",
}
_ONE = 1.0  # seconds in which a signal that comes again is the same one, passed on by a launcher


class Stopped(BaseException):
    """The training was stopped as asked, and is kept. Nothing failed, so it is no Exception.

    Args:
        where: In the training.
        number: Of the signal that asked.
    """

    def __init__(self, where: str, number: int) -> None:
        super().__init__(where)
        self.number = number


class Interruption(Callback):
    """Stop at the next batch once a signal asks for it, and keep a checkpoint.

    It stands behind the callbacks whose state the checkpoint is to have.

    Args:
        checkpoint: The file; one of the untrained model is written at the start, if there is none.
        report: Called with a line for people when a signal has come.
    """

    def __init__(self, checkpoint: Path, report: Callable[[str], None]) -> None:
        self.checkpoint, self.report = checkpoint, report
        self._before: dict[signal.Signals, Any] = {}
        self._asked: float | None = None  # when
        self._number = 0  # of the signal that did
        self._stopping = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals, for as long as this lasts; Python hands them to the main thread alone."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        self._listen()
        try:
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _listen(self) -> None:
        for number, before in self._before.items():
            ignored = before is signal.SIG_IGN  # as in the background of a script
            signal.signal(number, before if ignored else self._ask)

    def _ask(self, number: int, _frame: Any) -> None:
        if self._stopping:
            return
        if self._asked is None:
            self._asked, self._number = time.monotonic(), number
            with suppress(Exception):  # who listened may be gone, or be in the middle of a line
                self.report(_SIGNALS[signal.Signals(number)])
        elif number == signal.SIGINT and time.monotonic() - self._asked > _ONE:
            raise KeyboardInterrupt

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002 - Lightning's
        """Take the signals back from Lightning, and keep the weights that the training starts with."""
        self._listen()
        if not trainer.strategy.broadcast(self.checkpoint.exists()):
            trainer.save_checkpoint(self.checkpoint)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Stop here, if asked."""
        batches = trainer.fit_loop.epoch_loop.batch_progress
        if not batches.is_last_batch and self._all_asked(trainer, batches.current.ready):
            # A loss that is no number must not replace what was good.
            pl_module.train_figures(everywhere=True)
            self._stop(
                f"in epoch {trainer.current_epoch + 1}, after batch {batches.current.ready} "
                f"of {trainer.num_training_batches}"
            )

    def on_validation_batch_start(
        self,
        trainer: Any,
        pl_module: Any,
        batch: Any,  # noqa: ARG002 - Lightning's
        batch_idx: int,
        *_: Any,
    ) -> None:
        """Stop here, if asked."""
        if self._all_asked(trainer, batch_idx):
            pl_module.train_figures(everywhere=True)
            # What Lightning takes for a validation in its first batch, and begins anew.
            batches = trainer.fit_loop.epoch_loop.val_loop.batch_progress
            batches.reset()
            batches.increment_ready()
            batches.increment_started()
            self._stop(f"in the validation of epoch {trainer.current_epoch + 1}")

    def _all_asked(self, trainer: Any, batch: int) -> bool:
        strategy = trainer.strategy
        if strategy.root_device.type != "cpu" and trainer.world_size > 1 and batch % LOOKS:
            return False  # to ask the others makes their GPUs wait for each other
        asked: bool = strategy.reduce_boolean_decision(self._asked is not None, all=False)
        return asked

    def _stop(self, where: str) -> None:
        self._stopping = True
        # One signal for all processes, of which some had none.
        raise Stopped(where, max(of_all(self._number)))

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:  # noqa: ARG002
        """Keep the checkpoint of a stop."""
        if isinstance(exception, Stopped):
            trainer.save_checkpoint(self.checkpoint)

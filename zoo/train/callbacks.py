"""What Lightning calls during a training: keep the best model, show progress to people."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import TQDMProgressBar
from tqdm import tqdm

from zoo.errors import percent
from zoo.escaping import encodable, printable
from zoo.train.epoch_clock import EpochClock
from zoo.train.task import LOOKS


class KeepBest(Callback):
    """Remember the figures of every epoch, and save the model whenever it is the best so far.

    The best is the one with the highest validation accuracy; of equals, the one with the lowest loss.

    Args:
        save: Called with the figures of the epoch when its model is the best so far, in every process.
        record: Called with the figures of all epochs after every epoch.
        report: Called with one line for people after every epoch.
        compiled: Whether the first batch of a sitting waits for a compiler; it is then left out of the rate of its
            epoch.

    Attributes:
        history: Figures of each epoch, by name, with `epoch` (from 1), the `learning_rate` of its last step, its
            `seconds`, and `samples_per_second` of its training, validation left aside.
        best: The figures of the best epoch.
    """

    def __init__(
        self,
        save: Callable[[dict[str, float]], None],
        record: Callable[[list[dict[str, float]]], None],
        report: Callable[[str], None],
        *,
        compiled: bool = False,
    ) -> None:
        self.save, self.record, self.report = save, record, report
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        self._rate = 0.0
        self._clock = EpochClock(compiled=compiled)

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps of this: figures, and of an epoch that is not complete rate and seconds."""
        return {
            "history": self.history,
            "best": self.best,
            "learning_rate": self._rate,
            **self._clock.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.history, self.best = list(state_dict["history"]), dict(state_dict["best"])
        self._rate = state_dict["learning_rate"]
        self._clock.load_state_dict(state_dict)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002 - Lightning's
        """Let the clock of an epoch that goes on go on, too."""
        self._clock.go_on()

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002 - Lightning's
        """Start the epoch's clock."""
        self._clock.start()

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        """Note the step's learning rate; after it the schedule has set that of the next one."""
        self._clock.start_batch()
        self._rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)

    def on_train_batch_end(self, *_: Any) -> None:
        """Let the clock know."""
        self._clock.end_batch()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002 - Lightning's
        """Note when the epoch's training was over."""
        self._clock.end_training()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Take down the epoch's figures; validation has run by now."""
        trained = pl_module.train_figures(everywhere=True)
        pl_module.log_dict(trained)  # for the loggers
        batches = trainer.train_dataloader.sampler
        figures = {
            "epoch": trainer.current_epoch + 1,
            **trained,
            **{
                name: float(value)
                for name, value in trainer.callback_metrics.items()
                if name.startswith("validation/")
            },
            "learning_rate": self._rate,
            "seconds": round(self._clock.seconds(), 2),
            "samples_per_second": round(self._clock.rate(len(batches), batches.batch_size), 1),
        }
        self.history.append(figures)
        better = not self.best or _goodness(figures) > _goodness(self.best)
        self.best = figures if better else self.best
        if better:
            self.save(figures)
        if not trainer.is_global_zero:
            return
        self.record(self.history)  # last: an epoch that is told of has its model
        waited = self._clock.waited
        first = f" after {waited:.0f} s for the first batch, compiled" if waited else ""
        self.report(_line(figures, trainer.max_epochs, best=self.best is figures, first=first))


class Progress(TQDMProgressBar):
    """A bar for each epoch: time left, samples a second, loss and accuracy so far."""

    def __init__(self, batch_size: int) -> None:
        # The figures behind the bar make a device wait.
        super().__init__(refresh_rate=LOOKS if torch.accelerator.is_available() else 1)
        self.batch_size = batch_size

    def init_train_tqdm(self) -> Any:
        """The bar, counting samples."""
        return tqdm(
            desc=self.train_description,
            disable=self.is_disabled,
            leave=False,
            dynamic_ncols=True,
            file=sys.stdout,
            smoothing=0,
            unit=" samples",
            unit_scale=self.batch_size,
        )

    def on_train_start(self, trainer: Any, *args: Any) -> None:
        """Make the bar; where an epoch goes on, so does its bar."""
        super().on_train_start(trainer, *args)
        if trainer.fit_loop.restarting:
            self.on_train_epoch_start(trainer, *args)
            bar = self.train_progress_bar
            bar.initial = bar.n = trainer.fit_loop.batch_idx + 1

    def on_train_epoch_start(self, trainer: Any, *args: Any) -> None:
        """Begin the bar anew; epochs are counted from 1."""
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        )

    def init_validation_tqdm(self) -> Any:
        """No bar of its own for validation; its figures stand in the epoch's line."""
        return tqdm(disable=True)

    def get_metrics(self, *args: Any) -> dict[str, Any]:
        """What stands behind the bar: loss and accuracy of the epoch so far."""
        _, task = args
        return {
            name.partition("/")[2]: f"{value:.3f}" for name, value in task.train_figures().items()
        }


def write_line(text: str) -> None:
    """Write a line for people, above the progress bar if there is one."""
    if sys.stdout is None:  # closed by whoever started the process
        return
    with suppress(OSError):  # a training outlives whoever reads what it says
        tqdm.write(encodable(printable(text), sys.stdout), file=sys.stdout)
        sys.stdout.flush()


def best_line(best: dict[str, float], path: Path) -> str:
    """Say which epoch was best and where its model is."""
    return f"Best: epoch {best['epoch']:.0f}, validation accuracy {percent(best['validation/top1'])}, in {path}"


def _goodness(figures: dict[str, float]) -> tuple[float, float]:
    return figures["validation/top1"], -figures["validation/loss"]


def _line(figures: dict[str, float], epochs: int, *, best: bool, first: str) -> str:
    return (
        f"epoch {figures['epoch']:.0f}/{epochs}"
        f"  train loss {figures['train/loss']:.4f} accuracy {percent(figures['train/top1'])}"
        f"  validation loss {figures['validation/loss']:.4f} accuracy {percent(figures['validation/top1'])}"
        f"  {figures['samples_per_second']:.0f} samples/s{first}{'  best' if best else ''}"
    )

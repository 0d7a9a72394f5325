"""What is taken down of an epoch."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zoo.train import callbacks, epoch_clock
from zoo.train.batches import EpochBatches
from zoo.train.callbacks import KeepBest, Progress
from zoo.train.data.splits import ImageSplit
from zoo.train.task import LOOKS


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds."""
    time = [0.0]
    monkeypatch.setattr(epoch_clock, "clock", lambda: time[0])
    return time


def stand_ins(*, epochs: int, count: int) -> tuple[Any, Any]:
    """Of Lightning's trainer and of its module, for epochs of so many batches of 10."""
    labels = torch.zeros(10 * count, dtype=torch.int64)
    batches = EpochBatches(ImageSplit(labels, labels), 10, seed=0)
    task = SimpleNamespace(
        train_figures=lambda **_: {"train/loss": 1.0, "train/top1": 0.5}, log_dict=lambda _: None
    )
    trainer = SimpleNamespace(
        train_dataloader=SimpleNamespace(sampler=batches),
        callback_metrics={"validation/loss": 1.0, "validation/top1": 0.5},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1}])],
        max_epochs=epochs,
        is_global_zero=True,
        current_epoch=0,
    )
    return trainer, task


def take_batch(keeper: KeepBest, trainer: Any, now: list[float], seconds: float) -> None:
    """Train on a batch for so long."""
    keeper.on_train_batch_start(trainer)
    now[0] += seconds
    keeper.on_train_batch_end(trainer)


def train(keeper: KeepBest, now: list[float], *, epochs: int, first: float, count: int) -> None:
    """Go through epochs of batches of one second each, the very first but `first` seconds."""
    trainer, task = stand_ins(epochs=epochs, count=count)
    keeper.on_train_start(trainer, task)
    for trainer.current_epoch in range(epochs):
        keeper.on_train_epoch_start(trainer, task)
        for number in range(count):
            seconds = first if trainer.current_epoch == number == 0 else 1.0
            take_batch(keeper, trainer, now, seconds)
        keeper.on_validation_start(trainer, task)
        now[0] += 7.0
        keeper.on_train_epoch_end(trainer, task)


@pytest.mark.parametrize(
    ("compiled", "count", "rates", "said"),
    [
        (True, 5, [10.0, 10.0], "10 samples/s after 61 s for the first batch, compiled  best"),
        (False, 5, [0.8, 10.0], "1 samples/s  best"),
        (True, 1, [0.2, 10.0], "0 samples/s after 61 s for the first batch, compiled  best"),
    ],
)
def test_a_compiler_does_not_count_as_training(
    now: list[float], compiled: bool, count: int, rates: list[float], said: str
) -> None:
    """Of an epoch's rate, where there is another batch to measure it by; the epoch's time stays whole."""
    lines: list[str] = []
    keeper = KeepBest(lambda _: None, lambda _: None, lines.append, compiled=compiled)
    train(keeper, now, epochs=2, first=61.0, count=count)
    assert [figures["samples_per_second"] for figures in keeper.history] == rates
    assert [figures["seconds"] for figures in keeper.history] == [67.0 + count, 7.0 + count]
    assert lines[0].endswith(f"  {said}")
    assert lines[1].endswith("  10 samples/s")


def test_each_sitting_of_an_epoch_has_its_compiler(now: list[float]) -> None:
    """Its rate is that of the batches which waited for none."""
    trainer, task = stand_ins(epochs=1, count=5)
    stopped, resumed = (
        KeepBest(lambda _: None, lambda _: None, lambda _: None, compiled=True) for _ in range(2)
    )
    stopped.on_train_start(trainer, task)
    stopped.on_train_epoch_start(trainer, task)
    take_batch(stopped, trainer, now, 61.0)
    resumed.load_state_dict(stopped.state_dict())
    now[0] += 1_000.0
    resumed.on_train_start(trainer, task)
    for seconds in (41.0, 1.0, 1.0, 1.0):
        take_batch(resumed, trainer, now, seconds)
    resumed.on_validation_start(trainer, task)
    resumed.on_train_epoch_end(trainer, task)
    assert resumed.history[0]["samples_per_second"] == 10.0
    assert resumed.history[0]["seconds"] == 105.0


def test_an_older_checkpoint_is_taken_up(now: list[float]) -> None:
    """It says nothing of a compiler."""
    keeper = KeepBest(lambda _: None, lambda _: None, lambda _: None)
    kept = keeper.state_dict()
    for name in ("compiling", "compiled"):
        del kept[name]
    keeper.load_state_dict({**kept, "seconds": 50.0})
    trainer, task = stand_ins(epochs=1, count=5)
    keeper.on_train_start(trainer, task)
    keeper.on_validation_start(trainer, task)
    keeper.on_train_epoch_end(trainer, task)
    assert keeper.history[0]["samples_per_second"] == 1.0


@pytest.mark.parametrize(("accelerated", "rate"), [(True, LOOKS), (False, 1)])
def test_a_bar_seldom_makes_a_device_wait(
    monkeypatch: pytest.MonkeyPatch, accelerated: bool, rate: int
) -> None:
    """As seldom as the look at the loss; a CPU waits for nothing."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerated)
    assert Progress(128).refresh_rate == rate


def test_a_training_outlives_whoever_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as `head`, or a terminal that was closed."""

    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(callbacks.tqdm, "write", closed)
    callbacks.write_line("epoch 1")


def test_a_training_needs_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever started it may have closed it."""
    monkeypatch.setattr("sys.stdout", None)
    callbacks.write_line("epoch 1")


def test_a_line_is_written_in_whatever_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that it lacks letters for ends no training."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    callbacks.write_line("in runs/größe")
    assert written.getvalue() == b"in runs/gr\\xf6\\xdfe\n"


def test_names_in_a_line_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Samples and classes are named as strangers wrote them."""
    callbacks.write_line("note: \x1b[31mred")
    assert "\x1b" not in capsys.readouterr().out

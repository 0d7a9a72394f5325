"""Trainings that a signal stops inside an epoch: they go on to the very same end."""

from __future__ import annotations

import csv
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import zoo
from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.train import checkpoints, interruption, task
from zoo.train.data.dataset import Data
from zoo.train.fitting import Fitted, fit
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder
from zoo.train.trainer import Interrupted

# All that is drawn by chance or carried from batch to batch. An epoch is 10 batches, and 2 of validation.
RECIPE = Recipe(
    epochs=2,
    batch_size=20,
    learning_rate=0.02,
    schedule="onecycle",
    augment=({"name": "crop", "padding": 1}, {"name": "flip"}),
    mixup=0.2,
    average=0.9,
    seed=5,
)
NewModel = Callable[[], zoo.Model]
TIMES = {"seconds", "samples_per_second"}


@pytest.fixture(autouse=True)
def _interrupts() -> Iterator[None]:
    """Take Ctrl-C, though the tests may run in the background of a script, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def at_batch(model: zoo.Model, number: int, act: Callable[[], None]) -> zoo.Model:
    """The model; it acts while it computes its batch of this number, validation counted, from 1."""
    count = 0

    def watch(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == number:
            act()

    model.register_forward_hook(watch)
    return model


def send(number: int = signal.SIGINT) -> None:
    """Send this process a signal."""
    os.kill(os.getpid(), number)


def outcome(folder: Path) -> tuple[list[torch.Tensor], list[dict[str, str]]]:
    """What a run made: the tensors of both models, and the figures of every epoch, times aside."""
    models = [zoo.load(folder / f"{which}.safetensors").state_dict() for which in ("best", "last")]
    with open(folder / "metrics.csv", newline="") as file:
        rows = [
            {name: value for name, value in row.items() if name not in TIMES}
            for row in csv.DictReader(file)
        ]
    return [tensor for model in models for tensor in model.values()], rows


def assert_same(folder: Path, other: Path) -> None:
    """See that two runs made the same, to the last bit."""
    (tensors, rows), (others, other_rows) = outcome(folder), outcome(other)
    assert len(tensors) == len(others)
    assert all(torch.equal(one, two) for one, two in zip(tensors, others, strict=True))
    assert rows == other_rows


@pytest.fixture
def whole(data: Data, new_model: NewModel, tmp_path: Path) -> Path:
    """A run that nobody stopped."""
    fit(new_model(), data, RECIPE, RunFolder(tmp_path / "whole"))
    return tmp_path / "whole"


def resume(data: Data, new_model: NewModel, folder: Path) -> Fitted:
    """Go on, as a new process would, with everything random in another state."""
    torch.manual_seed(99)
    return fit(new_model(), data, RECIPE, RunFolder(folder), resume=True)


@pytest.mark.parametrize(
    ("number", "where"),
    [
        (1, "in epoch 1, after batch 1 of 10"),
        (15, "in epoch 2, after batch 3 of 10"),
        (10, "in the validation of epoch 1"),  # the epoch's last batch
        (23, "in the validation of epoch 2"),
        (12, "in epoch 2, after batch 1 of 10"),  # the last batch of a validation
    ],
)
def test_a_run_stopped_inside_an_epoch_ends_as_one_that_was_not(
    number: int, where: str, data: Data, new_model: NewModel, whole: Path, folder: Path
) -> None:
    """Weights, average and figures are equal to the last bit, wherever in an epoch it was."""
    lines: list[str] = []
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    expected = rf"Stopped {where}\. All of it is kept\. Go on with: zoo train --resume {folder}"
    with pytest.raises(Interrupted, match=expected):
        fit(
            at_batch(new_model(), number, send),
            data,
            RECIPE,
            RunFolder(folder),
            report=lines.append,
        )
    assert [line for line in lines if "epoch" not in line] == [
        "Stopping after this batch; Ctrl-C again stops at once, and loses what is not kept yet."
    ]
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    fitted = resume(data, new_model, folder)
    assert_same(folder, whole)
    assert all(figures["samples_per_second"] > 0 for figures in fitted.history)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGINT, "Stopping after this batch; Ctrl-C again stops at once"),
        (signal.SIGTERM, "SIGTERM came: stopping after this batch."),
        (signal.SIGHUP, "The terminal was closed (SIGHUP): stopping after this batch."),
    ],
)
def test_a_stop_is_told_in_words_of_its_signal(
    number: signal.Signals, said: str, data: Data, new_model: NewModel, folder: Path
) -> None:
    """And known by its number, from which the exit code follows; one that comes later is no matter."""
    lines: list[str] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def twice() -> None:
        send(number)
        send(signal.SIGTERM)

    model = at_batch(new_model(), 3, twice)
    try:
        with pytest.raises(Interrupted, match="after batch 3 of 10") as stop:
            fit(model, data, RECIPE, RunFolder(folder), report=lines.append)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert stop.value.number == number
    assert [line for line in lines if line.startswith(said)] == lines


def test_a_run_may_be_stopped_again_and_again(
    data: Data, new_model: NewModel, whole: Path, folder: Path
) -> None:
    """By the signal of a scheduler, every five batches; the learning rate is not taken down anew."""
    sittings = 1
    with pytest.raises(Interrupted, match="after batch 5 of 10"):
        fit(at_batch(new_model(), 5, lambda: send(signal.SIGTERM)), data, RECIPE, RunFolder(folder))
    while not (folder / "result.json").exists():
        sittings += 1
        model = at_batch(new_model(), 5, lambda: send(signal.SIGTERM))
        try:
            fit(model, data, RECIPE, RunFolder(folder), resume=True)
        except Interrupted:
            assert sittings < 20
    assert sittings > 3
    assert_same(folder, whole)


def test_a_signal_in_the_last_batch_of_all_comes_too_late(
    data: Data, new_model: NewModel, whole: Path, folder: Path
) -> None:
    """The training ends as always."""
    fit(at_batch(new_model(), 24, send), data, RECIPE, RunFolder(folder))
    assert (folder / "result.json").exists()
    assert_same(folder, whole)


def test_ctrl_c_again_stops_at_once(
    data: Data, new_model: NewModel, whole: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a batch; what was kept before holds."""
    monkeypatch.setattr(interruption, "_ONE", 0.0)
    kept = b""

    def twice() -> None:
        nonlocal kept
        kept = (folder / "last.ckpt").read_bytes()
        send()
        send()

    with pytest.raises(Interrupted, match=r"Stopped at once\. 1 complete epoch is kept"):
        fit(at_batch(new_model(), 15, twice), data, RECIPE, RunFolder(folder))
    assert (folder / "last.ckpt").read_bytes() == kept
    resume(data, new_model, folder)
    assert_same(folder, whole)


@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_stops_unless_it_is_ignored(
    data: Data, new_model: NewModel, folder: Path, ignored: bool
) -> None:
    """As `nohup` has it ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    model = at_batch(new_model(), 3, lambda: send(signal.SIGHUP))
    try:
        with nullcontext() if ignored else pytest.raises(Interrupted, match="after batch 3 of 10"):
            fit(model, data, RECIPE, RunFolder(folder))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (folder / "result.json").exists() is ignored


def test_a_signal_that_a_launcher_passes_on_is_the_same_one(
    data: Data, new_model: NewModel, folder: Path
) -> None:
    """The terminal sends it to all processes, and the launcher once more to its own."""

    def thrice() -> None:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            send(number)

    model = at_batch(new_model(), 3, thrice)
    with pytest.raises(Interrupted, match="in epoch 1, after batch 3 of 10"):
        fit(model, data, RECIPE, RunFolder(folder))


def test_a_signal_while_the_checkpoint_is_written_waits(
    data: Data,
    new_model: NewModel,
    whole: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file is whole."""
    monkeypatch.setattr(interruption, "_ONE", 0.0)
    sent = []

    def write(path: Path, content: bytes) -> None:
        if not (folder / "last.ckpt").exists():
            return write_atomically(path, content)
        write_atomically(path, content[: len(content) // 2])
        send()
        sent.append(path)
        return write_atomically(path, content)

    monkeypatch.setattr(checkpoints, "write_atomically", write)
    with pytest.raises(Interrupted, match=r"after batch 3 of 10\. All of it is kept"):
        fit(at_batch(new_model(), 3, send), data, RECIPE, RunFolder(folder))
    assert sent == [folder / "last.ckpt"]
    monkeypatch.undo()
    resume(data, new_model, folder)
    assert_same(folder, whole)


def test_a_loss_that_is_no_number_is_not_kept(
    data: Data, new_model: NewModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint of before stays, where the loss is not looked at after every batch."""
    kept = b""

    def spoil() -> None:
        nonlocal kept
        kept = (folder / "last.ckpt").read_bytes()
        monkeypatch.setattr(task, "_sums", lambda *_: torch.tensor([math.nan, 0, 20]))
        send()

    with pytest.raises(ZooError, match=r"became nan in epoch 2\..* The 1 epoch before is kept"):
        fit(at_batch(new_model(), 15, spoil), data, RECIPE, RunFolder(folder))
    assert (folder / "last.ckpt").read_bytes() == kept


def test_given_weights_are_kept_from_the_start(
    data: Data, new_model: NewModel, tmp_path: Path
) -> None:
    """A run that ends before its first epoch goes on with what it began with, not with drawn weights."""
    given = new_model()
    with torch.no_grad():
        given.classifier.weight.mul_(3)
    weights = {name: value.clone() for name, value in given.state_dict().items()}
    fit(given, data, RECIPE, RunFolder(tmp_path / "whole"))

    def die() -> None:
        raise MemoryError

    model = new_model()
    model.load_state_dict(weights)
    with pytest.raises(ZooError, match=r"^There is not enough memory .* this one goes on with: "):
        fit(at_batch(model, 2, die), data, RECIPE, RunFolder(tmp_path / "broken"))
    resume(data, new_model, tmp_path / "broken")
    assert_same(tmp_path / "broken", tmp_path / "whole")


def test_signals_are_the_main_threads(data: Data, new_model: NewModel, folder: Path) -> None:
    """Another thread trains without touching them."""
    recipe = Recipe(epochs=1, batch_size=20)
    done: list[Fitted] = []
    thread = threading.Thread(
        target=lambda: done.append(fit(new_model(), data, recipe, RunFolder(folder)))
    )
    thread.start()
    thread.join()
    assert len(done[0].history) == 1


def test_a_signal_that_is_ignored_stays_so(
    data: Data, new_model: NewModel, whole: Path, folder: Path
) -> None:
    """A shell starts what runs in the background of a script with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        fit(at_batch(new_model(), 3, send), data, RECIPE, RunFolder(folder))
    finally:
        signal.signal(signal.SIGINT, before)
    assert_same(folder, whole)


def test_processes_on_gpus_ask_each_other_now_and_then(tmp_path: Path) -> None:
    """To ask makes them wait; all ask before the same batch. Alone, or on a processor, each batch asks."""
    interruption_ = interruption.Interruption(tmp_path / "last.ckpt", lambda _: None)
    asked = list[int]()

    def trainer(device: str, processes: int) -> Any:
        def decide(_own: bool, *, all: bool) -> bool:  # noqa: A002 - Lightning's
            return not all

        strategy = SimpleNamespace(root_device=torch.device(device), reduce_boolean_decision=decide)
        return SimpleNamespace(strategy=strategy, world_size=processes)

    for device, processes in (("cuda", 2), ("cuda", 1), ("cpu", 2)):
        batches = range(1, 61)
        found = [n for n in batches if interruption_._all_asked(trainer(device, processes), n)]
        asked.append(len(found))
    assert asked == [3, 60, 60]

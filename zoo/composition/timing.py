"""How long models take, measured on this machine: they take turns, so that what else it does falls on all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from zoo.composition.costs import input_shape
from zoo.composition.model import Model
from zoo.spec import ImageInput, TextInput

ROUNDS = 30
WARM_UP = 3  # rounds that do not count: caches fill, memory is fetched, code is compiled

# So small that many steps leave the weights what they were: none runs into infinity.
_LEARNING_RATE = 1e-6

Turn = Callable[[], object]


class Conditions(NamedTuple):
    """Under which a model is timed.

    Attributes:
        training: Whole training steps instead of inference.
        device: Where it runs.
        bf16: bfloat16 autocast over float32 weights, as a recipe's `precision: bf16`.
        channels_last: Whether images lie in memory channel by channel for each pixel.
        compiled: By torch.compile.
    """

    training: bool = False
    device: torch.device = torch.device("cpu")
    bf16: bool = False
    channels_last: bool = False
    compiled: bool = False

    def autocast(self) -> torch.autocast:
        """The context of a turn."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    def synchronize(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)


PLAIN = Conditions()


def make_turn(
    model: Model, shape: Sequence[int], batch: int, conditions: Conditions = PLAIN
) -> Turn:
    """Return what runs a model once, or trains it for a step; the model is changed to fit the conditions.

    A training step is forward, cross-entropy to random classes, backward, and SGD with momentum. Of a model
    without classes the features are taken for scores.

    Args:
        model: A composed model.
        shape: Of one sample, without the batch.
        batch: Samples a turn.
        conditions: How it is run.
    """
    x = random_batch(model, shape, batch).to(conditions.device)
    model.train(conditions.training).to(conditions.device)
    if conditions.channels_last and isinstance(model.spec.input, ImageInput):
        model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    # One shape a turn: code for any size would be slower, and is not what a fixed batch gets.
    called = torch.compile(model, dynamic=False) if conditions.compiled else model
    if conditions.training:
        return _training_step(model, called, x, conditions)

    def infer() -> None:
        with torch.inference_mode(), conditions.autocast():
            called(x)

    return infer


def random_batch(model: Model, shape: Sequence[int], batch: int) -> Tensor:
    """Random values for a model, for one of texts random tokens; the same at each call."""
    generator = torch.Generator().manual_seed(0)
    block = model.spec.input
    if isinstance(block, TextInput):
        # 0 is padding and 1 any unknown token; there may be no others.
        first = min(2, block.channels - 1)
        return torch.randint(first, block.channels, (batch, *shape), generator=generator)
    return torch.randn(batch, *shape, generator=generator)


def take_turns(
    turns: Sequence[Turn],
    *,
    rounds: int,
    synchronize: Callable[[], object] = lambda: None,
    after_round: Callable[[], object] = lambda: None,
) -> list[list[float] | Exception]:
    """Time turns in rounds, each once a round.

    Args:
        turns: What is timed.
        rounds: How many count; WARM_UP others come before.
        synchronize: Waits until a turn is over, where the device works on by itself.
        after_round: Called after each round, those before included.

    Returns:
        For each turn its seconds, round by round; for one that raised an exception, which is then left out, that.
    """
    times: list[list[float] | Exception] = [[] for _ in turns]
    for number in range(-WARM_UP, rounds):
        for place, turn in enumerate(turns):
            own = times[place]
            if isinstance(own, Exception):
                continue
            try:
                synchronize()
                start = time.perf_counter()
                turn()
                synchronize()
                taken = time.perf_counter() - start
            except Exception as error:
                times[place] = error.with_traceback(None)  # it would keep the turn's tensors
            else:
                own += [taken] if number >= 0 else []
        after_round()
    return times


def latencies(
    models: Sequence[Model], *, device: torch.device = PLAIN.device, rounds: int = ROUNDS
) -> list[float | None]:
    """Milliseconds for one sample in eval mode, the median of many rounds.

    Args:
        models: The models; for one that takes inputs of any size there is no such figure, and it gets None.
        device: Where they run; they stay there.
        rounds: How often each has its turn.
    """
    conditions = Conditions(device=device)
    shapes = [input_shape(model.spec.input) for model in models]
    turns = [
        make_turn(model, shape, 1, conditions)
        for model, shape in zip(models, shapes, strict=True)
        if shape is not None
    ]
    times = iter(take_turns(turns, rounds=rounds, synchronize=conditions.synchronize))
    return [None if shape is None else _milliseconds(next(times)) for shape in shapes]


def _milliseconds(times: list[float] | Exception) -> float:
    if isinstance(times, Exception):
        raise times
    return 1000 * statistics.median(times)


def _training_step(
    model: Model, called: Callable[[Tensor], Tensor], x: Tensor, conditions: Conditions
) -> Turn:
    classes = model.num_classes or model.head_hidden_size
    targets = torch.randint(classes, x.shape[:1]).to(x.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=_LEARNING_RATE, momentum=0.9)

    def step() -> None:
        with conditions.autocast():
            loss = functional.cross_entropy(called(x), targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotations there
        optimizer.step()
        optimizer.zero_grad()  # here, so that nothing lies idle in memory while others have their turn

    return step

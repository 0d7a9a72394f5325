"""Timing: who runs when, what a run does, and what becomes of one that fails. Never how long."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo
from zoo.composition import timing
from zoo.composition.timing import (
    WARM_UP,
    Conditions,
    latencies,
    make_turn,
    random_batch,
    take_turns,
)


def image_model(**options: Any) -> Any:
    """A model of images that runs in a millisecond."""
    return zoo.compose(
        {"name": "plain_cnn", "widths": [4]},
        input={"kind": "image", "channels": 3, "size": [8, 8]},
        **{"num_classes": 2, **options},
    )


def text_model(*words: str) -> Any:
    """A model of texts of any length."""
    source = {"kind": "text", "vocabulary": list(words)}
    return zoo.compose("text_cnn", head="max", num_classes=2, input=source)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows, in seconds, at a place where a run can move it."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return now


def test_runs_take_turns_and_the_first_rounds_do_not_count(clock: list[float]) -> None:
    """Each runs once a round, in order; a run's time is its own, and that of the warm-up is not kept."""
    order: list[str] = []

    def run(name: str, seconds: float) -> None:
        order.append(name)
        clock[0] += seconds if len(order) > 2 * WARM_UP else 100.0

    rounds: list[int] = []
    times = take_turns(
        [lambda: run("a", 1.0), lambda: run("b", 2.0)],
        rounds=4,
        after_round=lambda: rounds.append(len(order)),
    )

    assert order == ["a", "b"] * (WARM_UP + 4)
    assert times == [[1.0] * 4, [2.0] * 4]
    assert rounds == [2 * (number + 1) for number in range(WARM_UP + 4)]


def test_a_device_is_waited_for_within_the_time(clock: list[float]) -> None:
    """What was given to the device before is over when the clock starts, and the run when it stops."""
    waiting = [0.0]

    def run() -> None:
        waiting[0] += 3.0

    def synchronize() -> None:
        clock[0] += waiting[0]
        waiting[0] = 0.0

    assert take_turns([run], rounds=2, synchronize=synchronize) == [[3.0, 3.0]]


def test_a_run_that_fails_is_out_and_the_others_go_on() -> None:
    """Its exception stands in its place, whether it fails at once or late; it is not run again."""
    calls = [0, 0]

    def early() -> None:
        calls[0] += 1
        raise MemoryError("too large")

    def late() -> None:
        calls[1] += 1
        if calls[1] == WARM_UP + 2:
            raise ValueError("no more")

    first, good, last = take_turns([early, lambda: None, late], rounds=3)
    assert isinstance(first, MemoryError)
    assert first.__traceback__ is None
    assert isinstance(last, ValueError)
    assert isinstance(good, list)
    assert len(good) == 3
    assert calls == [1, WARM_UP + 2]


def test_inference_is_that_of_eval_mode() -> None:
    """No gradients, no statistics, and a batch of the size that was asked for."""
    model = image_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seen: list[torch.Tensor] = []
    model.register_forward_hook(lambda _module, _args, scores: seen.append(scores))
    make_turn(model, (3, 8, 8), 5)()
    assert not model.training
    assert seen[0].shape == (5, 2)
    assert seen[0].is_inference()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("num_classes", [2, 0])
def test_a_training_step_is_a_whole_one(monkeypatch: pytest.MonkeyPatch, num_classes: int) -> None:
    """Every weight moves, the norms see the batch, and no gradient stays; also without classes."""
    monkeypatch.setattr(timing, "_LEARNING_RATE", 0.1)
    model = image_model(num_classes=num_classes)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    step = make_turn(model, (3, 8, 8), 4, Conditions(training=True))
    step()
    assert model.training
    still = {n for n, tensor in model.state_dict().items() if torch.equal(tensor, before[n])}
    assert still == set()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_many_steps_leave_the_weights_sane() -> None:
    """What is timed in the last round is what was timed in the first."""
    model = image_model()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    step = make_turn(model, (3, 8, 8), 4, Conditions(training=True))
    for _ in range(30):
        step()
    for parameter, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), old, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("training", [False, True])
def test_bfloat16_is_that_of_autocast(training: bool) -> None:
    """The weights stay float32; the scores come in bfloat16."""
    model = image_model()
    dtypes: list[torch.dtype] = []
    model.register_forward_hook(lambda _module, _args, scores: dtypes.append(scores.dtype))
    for bf16 in (False, True):
        make_turn(model, (3, 8, 8), 2, Conditions(training=training, bf16=bf16))()
    assert dtypes == [torch.float32, torch.bfloat16]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_channels_last_is_for_images() -> None:
    """Batch and weights of a model of images; a model of texts is left as it is."""
    model, seen = image_model(), []
    model.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    conditions = Conditions(channels_last=True)
    make_turn(model, (3, 8, 8), 2, conditions)()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    kernels = [weight for weight in model.parameters() if weight.ndim == 4]
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in kernels)
    make_turn(text_model("good"), (9,), 2, conditions)()


def test_a_compiled_model_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile gets the model, for this one shape."""
    asked: list[tuple[Any, dict[str, Any]]] = []
    ran: list[tuple[int, ...]] = []

    def compile_model(model: Any, **options: Any) -> Any:
        asked.append((model, options))
        return lambda x: ran.append(tuple(x.shape))

    monkeypatch.setattr(timing.torch, "compile", compile_model)
    model = image_model()
    make_turn(model, (3, 8, 8), 2, Conditions(compiled=True))()
    assert asked == [(model, {"dynamic": False})]
    assert ran == [(2, 3, 8, 8)]


def test_the_batch_is_random_but_always_the_same() -> None:
    """Values for an image; for a text tokens of its vocabulary, which may be empty."""
    image = random_batch(image_model(), (3, 8, 8), 2)
    assert image.shape == (2, 3, 8, 8)
    assert image.std() > 0.5
    assert torch.equal(image, random_batch(image_model(), (3, 8, 8), 2))
    tokens = random_batch(text_model("a", "good", "film"), (50,), 2)
    assert tokens.shape == (2, 50)
    assert set(tokens.unique().tolist()) == {2, 3, 4}
    assert set(random_batch(text_model(), (50,), 2).unique().tolist()) == {1}


def test_latencies_stand_in_the_order_of_the_models() -> None:
    """One that takes inputs of any size gets no figure, in its place."""
    wide, narrow = image_model(), image_model()
    first, none, last = latencies([wide, text_model("good"), narrow], rounds=5)
    assert none is None
    assert first is not None
    assert last is not None
    assert min(first, last) > 0
    assert not wide.training


def test_a_latency_that_cannot_be_measured_is_an_error() -> None:
    """The model's own, not a figure of something else."""
    model = image_model()

    def refuse(*_: object) -> None:
        raise zoo.errors.InvalidValue("not today")

    model.register_forward_pre_hook(refuse)
    with pytest.raises(zoo.errors.InvalidValue, match="not today"):
        latencies([model], rounds=1)

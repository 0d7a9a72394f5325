"""Optimizer, schedule and order of the samples."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot
from torch.optim import SGD, Adadelta, Adam, AdamW
from torch.utils._python_dispatch import TorchDispatchMode

import zoo
from zoo.train.data.splits import Batch
from zoo.train.recipe import Recipe
from zoo.train.task import Task, make_optimizer, make_schedule, precision_of_sums


class Precisions(TorchDispatchMode):
    """Notes of what types the results of all operations are."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note."""
        results = func(*args, **(kwargs or {}))
        every = results if isinstance(results, tuple | list) else [results]
        self.seen |= {one.dtype for one in every if isinstance(one, torch.Tensor)}
        return results


def test_only_matrices_and_kernels_decay(new_model: Callable[[], zoo.Model]) -> None:
    """Norms and biases are in a group without weight decay, and nothing is left out."""
    model = new_model()
    optimizer = make_optimizer(model, Recipe(weight_decay=0.1))
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    assert decay == {id(p): 0.1 if p.ndim >= 2 else 0.0 for p in model.parameters()}


def test_frozen_parameters_are_left_out(new_model: Callable[[], zoo.Model]) -> None:
    """What asks for no gradient is not given to the optimizer."""
    model = new_model()
    model.backbone.requires_grad_(requires_grad=False)
    optimizer = make_optimizer(model, Recipe())
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    assert count == len(list(model.classifier.parameters()))


def test_each_optimizer_is_the_one_named(new_model: Callable[[], zoo.Model]) -> None:
    """The names in a recipe stand for torch's classes."""
    model = new_model()
    made = [
        type(make_optimizer(model, Recipe(optimizer=name)))
        for name in ("adadelta", "adam", "adamw", "sgd")
    ]
    assert made == [Adadelta, Adam, AdamW, SGD]


def test_schedules_go_where_they_say(new_model: Callable[[], zoo.Model]) -> None:
    """`onecycle` rises and falls, `cosine` falls, `constant` stays; none exceeds the learning rate."""
    rates = {}
    for name in ("onecycle", "cosine", "constant"):
        recipe = Recipe(optimizer="sgd", learning_rate=0.5, schedule=name)
        optimizer = make_optimizer(new_model(), recipe)
        schedule = make_schedule(optimizer, recipe, 100)
        rates[name] = []
        for _ in range(99):
            rates[name].append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if schedule is not None:
                schedule.step()
    assert rates["onecycle"].index(max(rates["onecycle"])) == 29
    assert rates["onecycle"][0] < 0.03
    assert rates["onecycle"][-1] < 0.01
    assert rates["cosine"] == sorted(rates["cosine"], reverse=True)
    assert rates["cosine"][-1] < 0.01
    assert set(rates["constant"]) == {0.5}
    assert all(abs(max(values) - 0.5) < 1e-6 for values in rates.values())


def test_a_cycle_of_one_step_stays_at_its_rate(new_model: Callable[[], zoo.Model]) -> None:
    """Its end is its beginning, where hardly anything would be learned."""
    for name in ("onecycle", "cosine"):
        recipe = Recipe(optimizer="sgd", learning_rate=0.5, schedule=name)
        optimizer = make_optimizer(new_model(), recipe)
        assert make_schedule(optimizer, recipe, 1) is None
        assert optimizer.param_groups[0]["lr"] == 0.5


def test_the_backbone_may_learn_more_slowly(new_model: Callable[[], zoo.Model]) -> None:
    """By its share of the learning rate, which the schedule keeps; a share of 0 freezes it."""
    model = new_model()
    recipe = Recipe(learning_rate=0.1, backbone_rate=0.25)
    optimizer = make_optimizer(model, recipe)
    schedule = make_schedule(optimizer, recipe, 100)
    assert schedule is not None
    for _ in range(31):
        rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
        assert rates["backbone/decay"] == pytest.approx(0.25 * rates["head/decay"])
        optimizer.step()
        schedule.step()
    assert rates["head/decay"] == pytest.approx(0.1, rel=0.01)
    frozen = Task(new_model(), Recipe(backbone_rate=0.0), 1).model
    trained = {name for name, value in frozen.named_parameters() if value.requires_grad}
    assert trained == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize(("seed", "less"), [(1, True), (0, False)])
def test_mixup_blends_scores_and_losses(
    new_model: Callable[[], zoo.Model], seed: int, less: bool
) -> None:
    """The loss is that of blended images, with both classes; the own image has the greater part."""
    model = new_model().eval()
    task = Task(model, Recipe(mixup=1.0, label_smoothing=0.1), 1)
    x, labels = torch.randn(6, 1, 8, 8), torch.arange(6) % 3
    task.random.seed(seed)
    task.generator.manual_seed(4)
    _, loss = task._blended(x, labels)
    drawn = random.Random(seed).betavariate(1.0, 1.0)
    assert (drawn < 0.5) == less
    share = max(drawn, 1 - drawn)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(4))
    scores = model(share * x + (1 - share) * x[order])
    target = share * one_hot(labels, 3) + (1 - share) * one_hot(labels[order], 3)
    expected = cross_entropy(scores, target, label_smoothing=0.1)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_clips_are_shifted_within_their_own_length() -> None:
    """A short clip beside a long one stays under its mask in a training step."""
    input_block = {"kind": "audio", "sample_rate": 4000}
    backbone = {"name": "audio_cnn", "sample_rate": 4000, "widths": [4], "depths": 1, "num_mels": 8}
    model = zoo.compose(backbone, input=input_block, num_classes=2)
    task = Task(model, Recipe(augment=({"name": "shift", "share": 1.0},)), 1)
    mask = torch.arange(2000) < torch.tensor([[2000], [20]])
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda _model, inputs: seen.append(inputs[0]))
    for index in range(10):
        task.training_step(
            Batch(torch.ones(2, 1, 2000) * mask[:, None], torch.arange(2), mask), index
        )
    short = torch.stack([x[1, 0] for x in seen])
    assert not short[:, 20:].any()
    assert int((short[:, :20] != 0).any(1).sum()) > 5


def test_spectrograms_are_hidden_within_their_own_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask of the samples comes to the augmentation as that of the frames; without one there is none."""
    model = zoo.compose(
        {"name": "audio_cnn", "widths": [4], "depths": 1, "sample_rate": 1000, "num_mels": 8},
        input={"kind": "audio", "sample_rate": 1000},
        num_classes=2,
    )
    task = Task(model, Recipe(augment=({"name": "spec_augment"},)), steps=1)
    seen: list[tuple[torch.Size, torch.Tensor | None]] = []

    def note(x: torch.Tensor, _generator: object, mask: torch.Tensor | None) -> torch.Tensor:
        seen.append((x.shape, mask))
        return x

    monkeypatch.setattr(task, "spectral", [note])
    x, labels = torch.randn(2, 1, 200), torch.tensor([0, 1])
    mask = torch.arange(200) < torch.tensor([[100], [200]])
    task.training_step(Batch(x * mask[:, None], labels, mask), 0)
    task.training_step(Batch(x, labels, None), 0)
    (shape, frames), (_, none) = seen
    assert frames is not None
    assert frames.shape == (2, shape[-1])
    assert frames.sum(1).tolist() == [shape[-1] // 2, shape[-1]]
    assert none is None


def test_sums_are_as_precise_as_the_device_can() -> None:
    """Apple's knows no float64."""
    precisions = [precision_of_sums(torch.device(name)) for name in ("cpu", "cuda", "mps")]
    assert precisions == [torch.float64, torch.float64, torch.float32]


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_nothing_in_a_step_is_more_precise(
    precision: torch.dtype, new_model: Callable[[], zoo.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a device has no float64, no step of training or its sums asks for one."""
    monkeypatch.setattr("zoo.train.task.precision_of_sums", lambda _device: precision)
    images = torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8)
    task = Task(new_model(), Recipe(augment=({"name": "crop", "padding": 1},)), 1)
    monkeypatch.setattr(Task, "current_epoch", 0)
    monkeypatch.setattr(Task, "global_rank", 0)
    task.on_train_epoch_start()
    with Precisions() as precisions:
        task.training_step(Batch(images, torch.arange(6) % 3), 0).backward()
    assert task.sums.dtype == precision
    assert (torch.float64 in precisions.seen) == (precision == torch.float64)
    assert task.train_figures()["train/loss"] > 0


def test_samples_are_augmented_alike_at_any_precision(new_model: Callable[[], zoo.Model]) -> None:
    """Autocast would place the pixels of a turned image by 8 bits."""
    recipe = Recipe.from_data({"augment": ["affine"], "precision": "bf16"})
    images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    seen = []
    task = Task(new_model(), recipe, 10)
    task.normalize = lambda x: seen.append(x) or x.float()  # type: ignore[assignment, func-returns-value]
    for enabled in (False, True):
        task.generator.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            task.training_step(Batch(images, torch.zeros(4, dtype=torch.int64)), 1)
    assert torch.equal(*seen)
    assert not torch.equal(seen[0], images)

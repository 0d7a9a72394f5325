"""What computes on a GPU, on one that is imagined: torch's fake tensors have a device and no values.

They refuse to mix devices as CUDA does, and to give a value away, for which a real GPU would have to be waited for.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorDeviceMismatchError,
    FakeTensorMode,
)

import zoo
from zoo.component import Component
from zoo.composition.model import takes_mask
from zoo.plugins import catalog
from zoo.testing.subject import subjects
from zoo.train.averaging import MovingAverage
from zoo.train.data.splits import Batch
from zoo.train.recipe import Recipe
from zoo.train.task import Task

GPU = torch.device("cuda:0")
COMPONENTS = [one for one in catalog().components() if not one.name.startswith("timm/")]
IMAGE = (
    "image(channels=3, size=[16, 16]) -> attn_cnn(widths=[8], depths=[1]) + se@branch + mhsa@last"
)
AUDIO = "audio(sample_rate=8000) -> audio_cnn(sample_rate=8000, widths=[8], depths=[1]) + se@branch"
TEXT = (
    "text(vocabulary_size=9, vocabulary_bytes=90) -> text_cnn(maps=8) + mhsa@last + attention_pool"
)


def to_gpu(module: nn.Module) -> None:
    """Put imagined tensors in the place of all that a module has; `module.to` cannot."""
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            setattr(part, name, nn.Parameter(on_gpu(parameter), parameter.requires_grad))
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, on_gpu(buffer))


def on_gpu(tensor: Tensor) -> Tensor:
    """An imagined tensor like this one."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=GPU)


def batch(kind: str, *, masked: bool) -> Batch:
    """Samples on the GPU."""
    shape, dtype = {
        "image": ((4, 3, 16, 16), torch.uint8),
        "audio": ((4, 1, 4000), torch.float32),
        "text": ((4, 12), torch.int64),
    }[kind]
    mask = torch.ones(4, shape[-1], dtype=torch.bool, device=GPU) if masked else None
    labels = torch.zeros(4, dtype=torch.int64, device=GPU)
    return Batch(torch.zeros(shape, dtype=dtype, device=GPU), labels, mask)


class Forgetful(nn.Module):
    """Makes a tensor where it happens to be made."""

    def forward(self, x: Tensor) -> Tensor:
        """Add it."""
        return x + torch.ones(x.shape)


class Curious(nn.Module):
    """Looks at a value."""

    def forward(self, x: Tensor) -> Tensor:
        """Go by its sign."""
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("module", "error"),
    [(Forgetful(), FakeTensorDeviceMismatchError), (Curious(), DataDependentOutputException)],
)
def test_an_imagined_gpu_refuses_what_it_should(module: nn.Module, error: type[Exception]) -> None:
    """Else the tests below would say nothing."""
    with FakeTensorMode(), pytest.raises(error):
        module(torch.zeros(2, 3, device=GPU))


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda one: f"{one.kind}/{one.name}")
def test_a_component_stays_on_its_gpu(component: Component) -> None:
    """In one dimension and two, in training and out of it, with a mask and without."""
    for subject in subjects(component, {}):
        module, x = subject.build(), subject.draw()
        mask = torch.ones(len(x), *x.shape[1 if subject.takes_tokens else 2 :], dtype=torch.bool)
        masks = [mask] if takes_mask(module) else []
        with FakeTensorMode():
            to_gpu(module)
            for inputs, training in product(([x], [x, *masks]), (False, True)):
                assert module.train(training)(*map(on_gpu, inputs)).device == GPU


@pytest.mark.parametrize(
    ("kind", "spec", "recipe"),
    [
        ("image", IMAGE, {"augment": ["crop", "flip", "cutout"]}),
        ("image", IMAGE, {"augment": [{"name": "crop", "border": "black"}, "affine"]}),
        ("image", IMAGE, {"mixup": 0.2, "label_smoothing": 0.1}),
        ("audio", AUDIO, {"augment": ["shift", "noise", "speed", "spec_augment"]}),
        ("text", TEXT, {"augment": ["word_dropout"]}),
    ],
)
def test_a_step_of_training_stays_on_its_gpu(
    kind: str, spec: str, recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Augmentation, model, loss, sums and the average of the weights; then a step of validation."""
    monkeypatch.setattr(Task, "device", GPU)
    model = zoo.compose(spec, num_classes=3)
    with FakeTensorMode():
        to_gpu(model)
        task = Task(model, Recipe.from_data(recipe), 10)
        average = MovingAverage(model, 0.9)
        task.on_train_epoch_start()
        for masked in (False, True) if kind != "image" else (False,):
            assert task.training_step(batch(kind, masked=masked), 1).device == GPU
        average.on_train_batch_end()
        with average.in_place():
            task.eval()
            assert task._scores(task._prepare(batch(kind, masked=False).x), None).device == GPU
        assert task.sums.device == GPU

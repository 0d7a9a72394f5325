"""Figures of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

import zoo
from zoo.errors import InvalidValue, ZooError
from zoo.train.data.dataset import Data
from zoo.train.data.splits import ImageSplit, SequenceSplit
from zoo.train.evaluation import evaluate, together
from zoo.train.normalization import Normalization


def test_figures_are_those_of_a_count_by_hand(
    data: Data, new_model: Callable[[], zoo.Model]
) -> None:
    """Accuracy and loss are what one gets sample by sample, for batches that do not divide the data."""
    model, split = new_model(), data.test
    score = evaluate(model, split, batch_size=7)
    model.eval()
    normalize = Normalization(model.spec.input)
    right, loss = 0, 0.0
    with torch.no_grad():
        for image, label in zip(split.images, split.labels.tolist(), strict=True):
            scores = model(normalize(image[None]))[0].tolist()
            right += scores.index(max(scores)) == label
            loss += math.log(sum(math.exp(s) for s in scores)) - scores[label]
    assert score.accuracy == right / 30
    assert score.loss == pytest.approx(loss / 30, rel=1e-5)
    assert score.samples == 30


def test_scores_of_parts_are_those_of_the_whole(
    data: Data, new_model: Callable[[], zoo.Model]
) -> None:
    """However many samples each part has."""
    model, split = new_model(), data.test
    assert isinstance(split, ImageSplit)
    parts = [ImageSplit(split.images[own], split.labels[own]) for own in (slice(7), slice(7, 30))]
    whole, joined = evaluate(model, split), together([evaluate(model, part) for part in parts])
    assert joined.accuracy == whole.accuracy
    assert joined.loss == pytest.approx(whole.loss, rel=1e-6)
    assert torch.equal(joined.hits, whole.hits)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_model_of_another_dtype_is_measured(
    data: Data, new_model: Callable[[], zoo.Model], dtype: torch.dtype
) -> None:
    """Images are given to it in its own."""
    model = new_model()
    expected = evaluate(model, data.test)
    assert evaluate(model.to(dtype), data.test).loss == pytest.approx(expected.loss, rel=0.05)


def test_the_models_mode_stays(data: Data, new_model: Callable[[], zoo.Model]) -> None:
    """A model in training mode is in training mode afterwards, with its statistics untouched."""
    model = new_model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, data.test)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_what_does_not_fit_is_refused(data: Data, new_model: Callable[[], zoo.Model]) -> None:
    """No samples, and classes that the model lacks are named."""
    model, split = new_model(), data.test
    with pytest.raises(InvalidValue, match="Got 0 samples"):
        evaluate(model, ImageSplit(split.images[:0], split.labels[:0]))
    with pytest.raises(InvalidValue, match="A label is 5; the model has 3 classes"):
        evaluate(model, ImageSplit(split.images, torch.full((30,), 5)))


def test_a_loss_that_is_no_number_is_no_figure(
    data: Data, new_model: Callable[[], zoo.Model]
) -> None:
    """Its accuracy would be that of the first class."""
    model = new_model()
    with torch.no_grad():
        model.classifier.weight[0, 0] = float("nan")
    with pytest.raises(InvalidValue, match="loss is nan: its weights are those of a training that"):
        evaluate(model, data.test)


def test_batches_become_smaller_until_memory_is_enough(
    data: Data, new_model: Callable[[], zoo.Model]
) -> None:
    """By halves, with the same figures; where not even one sample has room it is said."""
    model, sizes = new_model(), list[int]()
    expected = evaluate(model, data.test)

    def fill(room: int) -> Any:
        def refuse(_module: Any, inputs: tuple[torch.Tensor]) -> None:
            sizes.append(len(inputs[0]))
            if sizes[-1] > room:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

        return model.register_forward_pre_hook(refuse)

    hook = fill(room=10)
    score = evaluate(model, data.test)
    assert sizes == [30, 30, 30, 16, 8, 8, 8, 6]
    assert (score.accuracy, score.samples) == (expected.accuracy, 30)
    assert score.loss == pytest.approx(expected.loss)
    with pytest.raises(ZooError, match="not enough memory to measure 12 samples at a time"):
        evaluate(model, data.test, batch_size=12)
    hook.remove()
    hook = fill(room=0)
    with pytest.raises(ZooError, match="not enough memory to measure 1 sample at a time"):
        evaluate(model, data.test)
    hook.remove()
    model.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(model, data.test)


def test_no_samples_are_no_figure(data: Data, new_model: Callable[[], zoo.Model]) -> None:
    """Of images as of sequences."""
    none = torch.empty(0, dtype=torch.int64)
    for split in (ImageSplit(data.test.images[:0], none), SequenceSplit.pack([], none)):
        with pytest.raises(InvalidValue, match="Got 0 samples"):
            evaluate(new_model(), split)

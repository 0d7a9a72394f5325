"""The moving average of the weights."""

from __future__ import annotations

import torch
from torch import nn

from zoo.train.averaging import MovingAverage


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def _change(model: nn.Module) -> None:
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(torch.ones((), dtype=value.dtype))


def test_the_average_follows_the_formula() -> None:
    """By hand, with the smaller decay of the first steps; statistics of norms are averaged, too."""
    model = _model()
    average = MovingAverage(model, 0.25)
    expected = model.state_dict()["1.running_mean"].clone()
    for step in (1, 2, 3):
        _change(model)
        average.on_train_batch_end()
        decay = min(0.25, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.state_dict()["1.running_mean"]
    assert torch.allclose(average.average["1.running_mean"], expected)


def test_the_average_takes_the_place_of_the_weights_for_a_time() -> None:
    """Inside it is the model; afterwards the weights are as before, bit for bit."""
    model = _model()
    average = MovingAverage(model, 0.9)
    _change(model)
    average.on_train_batch_end()
    own = {name: value.clone() for name, value in model.state_dict().items()}
    with average.in_place():
        inside = {name: value.clone() for name, value in model.state_dict().items()}
    assert all(torch.equal(inside[name], value) for name, value in average.average.items())
    assert not torch.equal(inside["0.weight"], own["0.weight"])
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())


def test_a_checkpoint_takes_it_up() -> None:
    """Average and number of steps."""
    average = MovingAverage(_model(), 0.9)
    _change(average.model)
    average.on_train_batch_end()
    other = MovingAverage(_model(), 0.9)
    other.load_state_dict(average.state_dict())
    assert other.steps == 1
    assert all(torch.equal(other.average[name], value) for name, value in average.average.items())

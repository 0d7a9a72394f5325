"""Eval mode for a while, also where several threads want it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch
from torch import nn

import zoo
from zoo.composition.modes import evaluating


def test_each_part_has_its_mode_again() -> None:
    """Those that were in eval mode before stay in it."""
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    module[1].eval()
    with evaluating(module):
        assert not any(part.training for part in module.modules())
    assert [part.training for part in module.modules()] == [True, True, False]


def test_the_last_one_gives_the_mode_back() -> None:
    """Whoever is done sooner leaves it to the others."""
    module = nn.Linear(2, 2)
    with evaluating(module):
        with evaluating(module):
            pass
        assert not module.training
    assert module.training


def test_threads_that_predict_with_a_model_in_training_leave_it_as_it_was() -> None:
    """And get the answers of eval mode."""
    model = zoo.compose("attn_cnn(widths=[8]) + se@branch", num_classes=3).eval()
    image = torch.randint(0, 255, (16, 16, 3), dtype=torch.uint8).numpy()
    expected = zoo.predict(model, image)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    begin = Barrier(4)

    def predict() -> bool:
        begin.wait()
        return all(zoo.predict(model, image) == expected for _ in range(25))

    with ThreadPoolExecutor(4) as pool:
        right = [done.result() for done in [pool.submit(predict) for _ in range(4)]]
    assert all(right)
    assert all(part.training for part in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())

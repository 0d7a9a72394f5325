"""pad_batch: samples of several lengths in one batch, and its mask."""

from __future__ import annotations

import pytest
import torch

from zoo import InvalidValue
from zoo.inputs.batching import pad_batch


def test_pads_texts() -> None:
    """Token numbers get 0 at their end, which is padding."""
    batch, mask = pad_batch([torch.tensor([3, 4, 5]), torch.tensor([6])])
    assert batch.tolist() == [[3, 4, 5], [6, 0, 0]]
    assert mask is not None
    assert mask.tolist() == [[True, True, True], [True, False, False]]


def test_pads_sounds() -> None:
    """Channels stay together under one mask."""
    short, long = torch.ones(2, 1), torch.full((2, 3), 2.0)
    batch, mask = pad_batch([short, long])
    assert batch.tolist() == [[[1.0, 0.0, 0.0]] * 2, [[2.0] * 3] * 2]
    assert mask is not None
    assert mask.tolist() == [[True, False, False], [True] * 3]


def test_pads_images_on_both_sides() -> None:
    """An image that is higher and one that is wider both fit."""
    batch, mask = pad_batch([torch.ones(3, 2, 1), torch.ones(3, 1, 2)])
    assert batch.shape == (2, 3, 2, 2)
    assert mask is not None
    assert mask.tolist() == [[[True, False], [True, False]], [[True, True], [False, False]]]
    assert torch.equal(batch, mask.unsqueeze(1).expand(2, 3, 2, 2).float())


def test_equal_sizes_need_no_mask() -> None:
    """Where nothing is padded there is no mask, so that models that take none can be used."""
    batch, mask = pad_batch([torch.zeros(1, 4), torch.ones(1, 4)])
    assert batch.shape == (2, 1, 4)
    assert mask is None


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "There are no samples"),
        (
            [torch.zeros(1, 4), torch.zeros(2, 4)],
            r"shape \(1, 4\) and torch.float32 of shape \(2, 4\)",
        ),
        ([torch.zeros(1, 4), torch.zeros(4)], r"shape \(4,\)"),
        ([torch.zeros(1, 4), torch.zeros(1, 4).half()], "torch.float32 .* torch.float16"),
        ([torch.tensor(1.0)], r"shape \(\)"),
    ],
)
def test_refuses_what_does_not_fit(samples: list[torch.Tensor], message: str) -> None:
    """Samples of other channels, dtypes or numbers of axes make no batch."""
    with pytest.raises(InvalidValue, match=message):
        pad_batch(samples)

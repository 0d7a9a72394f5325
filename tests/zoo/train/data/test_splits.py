"""Samples in memory, and batches of them."""

from __future__ import annotations

import pytest
import torch

from zoo.inputs.batching import pad_batch
from zoo.train.data.splits import ImageSplit, SequenceSplit


def test_a_batch_is_what_its_samples_are() -> None:
    """Images with their labels, in the order asked for."""
    split = ImageSplit(torch.arange(24, dtype=torch.uint8).view(6, 1, 2, 2), torch.arange(6))
    batch = split[torch.tensor([4, 1])]
    assert torch.equal(batch.x, split.images[[4, 1]])
    assert batch.labels.tolist() == [4, 1]
    assert batch.mask is None
    assert len(split) == 6


@pytest.mark.parametrize("channels", [0, 1, 2])
def test_a_batch_is_padded_as_for_prediction(channels: int) -> None:
    """The same numbers and the same mask as `pad_batch` gives, for texts and sounds, the last included."""
    shape = () if channels == 0 else (channels,)
    samples = [torch.randn(*shape, length) for length in (3, 7, 1, 5)]
    split = SequenceSplit.pack(samples, torch.arange(4))
    for numbers in ([3, 0, 2], [1], [0, 1, 2, 3]):
        x, mask = pad_batch([samples[number] for number in numbers])
        batch = split[torch.tensor(numbers)]
        assert torch.equal(batch.x, x)
        assert batch.x.is_contiguous()
        assert (batch.mask is None) == (mask is None)
        assert mask is None or torch.equal(batch.mask, mask)
        assert batch.labels.tolist() == numbers
    assert split.lengths.tolist() == [3, 7, 1, 5]

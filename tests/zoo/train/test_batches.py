"""Which samples make a batch."""

from __future__ import annotations

import torch

from zoo.train.batches import EpochBatches, all_batches, epoch_seed
from zoo.train.data.splits import ImageSplit, SequenceSplit


def _images(count: int) -> ImageSplit:
    return ImageSplit(torch.zeros(count, 1, 1, 1, dtype=torch.uint8), torch.zeros(count))


def _texts(count: int) -> SequenceSplit:
    lengths = torch.randint(1, 40, (count,), generator=torch.Generator().manual_seed(0))
    samples = [torch.full((int(length),), 2) for length in lengths]
    return SequenceSplit.pack(samples, torch.zeros(count, dtype=torch.long))


def _numbers(batches: EpochBatches) -> list[int]:
    return torch.cat(list(batches)).tolist()


def test_every_epoch_has_an_order_of_its_own() -> None:
    """Each epoch gives every sample once, in an order that its number and the seed decide."""
    batches = EpochBatches(_images(50), 10, seed=3)
    first = _numbers(batches)
    batches.set_epoch(1)
    second = _numbers(batches)
    again = EpochBatches(_images(50), 10, seed=3)
    again.set_epoch(1)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert _numbers(again) == second
    assert _numbers(EpochBatches(_images(50), 10, seed=4)) != first


def test_the_epoch_counts_when_the_first_batch_is_taken() -> None:
    """A loader asks for the iterator before it is told the epoch."""
    batches = EpochBatches(_images(50), 10, seed=3)
    early = iter(batches)
    batches.set_epoch(1)
    assert torch.cat(list(early)).tolist() == _numbers(batches)


def test_what_is_left_over_waits() -> None:
    """All batches are full; a data set smaller than a batch is one."""
    batches = EpochBatches(_images(23), 5, seed=0)
    assert [len(batch) for batch in batches] == [5] * 4 == [5] * len(batches)
    assert [len(batch) for batch in EpochBatches(_images(3), 5, seed=0)] == [3]


def test_samples_of_like_length_are_together() -> None:
    """Little is padded, no sample is lost, and the short ones do not all come first."""
    split = _texts(400)
    batches = EpochBatches(split, 20, seed=1)
    lengths = [split.lengths[batch] for batch in batches]
    padded = sum(int(own.max()) * len(own) for own in lengths) / int(split.lengths.sum())
    assert padded < 1.1
    assert sorted(_numbers(batches)) == list(range(400))
    means = [float(own.float().mean()) for own in lengths]
    assert means != sorted(means)


def test_all_batches_have_every_sample_once() -> None:
    """In order for images, the shortest first for texts."""
    assert torch.cat(all_batches(_images(7), 3)).tolist() == list(range(7))
    split = _texts(31)
    order = torch.cat(all_batches(split, 4))
    assert sorted(order.tolist()) == list(range(31))
    assert bool((split.lengths[order].diff() >= 0).all())


def test_seeds_of_epochs_do_not_meet() -> None:
    """Runs of neighbouring seeds do not repeat each other's epochs."""
    seeds = [epoch_seed(seed, epoch) for seed in range(20) for epoch in range(100)]
    assert len(set(seeds)) == len(seeds)

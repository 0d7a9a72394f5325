"""Which samples make a batch: in a new order every epoch, those of like length together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

from zoo.train.data.splits import Split

_POOL = 30  # batches whose samples are sorted by length among themselves


class EpochBatches(Sampler[Tensor]):
    """The batches of one epoch, as numbers of samples; those left over at the end wait for another epoch.

    The order follows from the seed and the epoch's number. Samples of any length are sorted within pools of
    some batches, so that little is padded and yet no two epochs have the same batches.

    Args:
        split: What is trained on.
        batch_size: Samples a batch.
        seed: Of the order.
    """

    def __init__(self, split: Split, batch_size: int, *, seed: int) -> None:
        self.count, self.lengths, self.seed, self.epoch = len(split), split.lengths, seed, 0
        self.batch_size = min(batch_size, self.count)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        # A generator: a loader asks for it before it is told the epoch, and takes the first batch after.
        yield from self._ordered()

    def _ordered(self) -> Sequence[Tensor]:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))
        order = torch.randperm(self.count, generator=generator)[: len(self) * self.batch_size]
        if self.lengths is None:
            return torch.split(order, self.batch_size)
        pools = torch.split(order, _POOL * self.batch_size)
        batches = torch.cat([pool[self.lengths[pool].argsort(stable=True)] for pool in pools])
        shuffled = torch.randperm(len(self), generator=generator)
        return list(batches.view(len(self), self.batch_size)[shuffled])

    def __len__(self) -> int:
        return self.count // self.batch_size


def all_batches(split: Split, batch_size: int) -> list[Tensor]:
    """Every sample once, the shortest first."""
    if split.lengths is None:
        return list(torch.split(torch.arange(len(split)), batch_size))
    return list(torch.split(split.lengths.argsort(stable=True), batch_size))


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for one epoch; different for all seeds and epochs in use."""
    return (seed * 1_000_003 + epoch * 7_919) % 2**63

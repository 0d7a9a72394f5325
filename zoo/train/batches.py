"""Which samples make a batch: in a new order every epoch, those of like length together.

Several processes share every batch, so that a recipe's batch size means the same however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

from zoo.errors import InvalidValue, counted
from zoo.train.data.splits import Split
from zoo.train.processes import ALONE, Processes

_POOL = 30  # batches whose samples are sorted by length among themselves


class EpochBatches(Sampler[Tensor]):
    """The batches of one epoch, as numbers of samples; those left over at the end wait for another epoch.

    The order follows from the seed and the epoch's number. Samples of any length are sorted within pools of
    some batches, so that little is padded and yet no two epochs have the same batches.

    Args:
        split: What is trained on.
        batch_size: Samples a batch, of all processes together.
        seed: Of the order.
        processes: Of which this one gets its share of every batch.

    Raises:
        InvalidValue: A batch cannot be shared evenly.
    """

    def __init__(
        self, split: Split, batch_size: int, *, seed: int, processes: Processes = ALONE
    ) -> None:
        self.count, self.lengths, self.seed, self.epoch = len(split), split.lengths, seed, 0
        self.processes = processes
        if self.count < processes.size:
            raise InvalidValue(
                f"There are {processes.size} processes for {counted(self.count, 'sample')} to train on; start no more than "
                "one for each."
            )
        if batch_size % processes.size:
            raise InvalidValue(
                f"A batch of {batch_size} samples cannot be shared evenly by {processes.size} processes; choose a "
                "batch_size that can."
            )
        most = min(batch_size, self.count)
        self.batch_size = most - most % processes.size
        self._taken = 0
        self._resumed = (0, 0)  # epoch, and its batches that were taken before

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        """Where it is: the epoch, and how many of its batches were taken."""
        return {"epoch": self.epoch, "taken": self._taken}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Leave out of an epoch what was taken of it before."""
        self._resumed = state_dict["epoch"], state_dict["taken"]

    def __iter__(self) -> Iterator[Tensor]:
        # A generator: a loader asks for it before it is told the epoch, and takes the first batch after.
        epoch, taken = self._resumed
        first = taken if epoch == self.epoch else 0
        for number, batch in enumerate(self._ordered()[first:], first + 1):
            self._taken = number
            yield batch[self.processes.rank :: self.processes.size]

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


class WholeSplit(Sampler[Tensor]):
    """Every sample once, a batch to one process and the next to another.

    Every process gets as many batches: those that have none for the last round get one of theirs again, which
    is not `counted`. So all of them can talk to each other after each batch.

    Args:
        split: What is measured on.
        batch_size: Samples a batch.
        processes: Of which this one gets its share of the batches.
    """

    def __init__(self, split: Split, batch_size: int, *, processes: Processes = ALONE) -> None:
        batches = all_batches(split, batch_size)
        own = batches[processes.rank :: processes.size]
        self.counted = len(own)
        rounds = -(-len(batches) // processes.size)
        self.batches = own + batches[:1] * (rounds - len(own))

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def all_batches(split: Split, batch_size: int) -> list[Tensor]:
    """Every sample once, the shortest first."""
    if split.lengths is None:
        return list(torch.split(torch.arange(len(split)), batch_size))
    return list(torch.split(split.lengths.argsort(stable=True), batch_size))


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for one epoch; different for all seeds and epochs in use."""
    return (seed * 1_000_003 + epoch * 7_919) % 2**63

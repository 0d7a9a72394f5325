"""From batches of numbers to batches of samples: whole ones, straight from memory."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader

from zoo.train.batches import EpochBatches, WholeSplit
from zoo.train.data.splits import Batch, Split


class WholeBatches(DataLoader[Any]):
    """Load batches in the order of a sampler.

    Args:
        split: What is loaded.
        batches: The sampler; what it gives is a batch.
    """

    def __init__(self, split: Split, batches: EpochBatches | WholeSplit) -> None:
        super().__init__(
            split,
            batch_size=None,  # what the sampler gives is a batch
            sampler=batches,
            generator=torch.Generator(),  # else it draws from the one that dropout draws from
            collate_fn=_as_it_is,  # type: ignore[arg-type]  # for whole batches it gets one, no list
        )


class ResumableBatches(WholeBatches):
    """Load batches of an epoch; Lightning asks where it is, and tells it where to go on."""

    sampler: EpochBatches

    def state_dict(self) -> dict[str, int]:
        """What the checkpoint keeps of this."""
        return self.sampler.state_dict()

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take up what a checkpoint kept."""
        self.sampler.load_state_dict(state_dict)


def _as_it_is(batch: Batch) -> Batch:
    return batch

"""Labelled samples in memory, given out as whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset


class Batch(NamedTuple):
    """Samples of one batch.

    Attributes:
        x: Images uint8 (N, C, H, W), waveforms float32 (N, C, T), or token numbers int64 (N, L).
        labels: int64 (N,), numbers of classes.
        mask: bool (N, T) or (N, L), True where x is real; None where it is so everywhere.
    """

    x: Tensor
    labels: Tensor
    mask: Tensor | None = None


@dataclass(frozen=True)
class ImageSplit(Dataset[Batch]):
    """Images of one size with their classes.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), numbers of classes.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Tensor) -> Batch:
        """A batch of the samples with these numbers."""
        return Batch(self.images[indices], self.labels[indices])

    @property
    def lengths(self) -> Tensor | None:
        """None: all are of one size."""
        return None


@dataclass(frozen=True)
class SequenceSplit(Dataset[Batch]):
    """Sounds or texts of any lengths, end to end in one tensor, with their classes.

    Attributes:
        values: (..., total): waveforms (C, total), or token numbers (total,).
        offsets: int64 (N + 1,), where each sample begins, and the end of the last.
        labels: int64 (N,), numbers of classes.
    """

    values: Tensor
    offsets: Tensor
    labels: Tensor

    @classmethod
    def pack(cls, samples: Sequence[Tensor], labels: Tensor) -> SequenceSplit:
        """Put samples (..., L) end to end."""
        lengths = torch.tensor([0, *(sample.shape[-1] for sample in samples)])
        values = torch.cat(list(samples), -1) if samples else torch.empty(0)
        return cls(values, lengths.cumsum(0), labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Tensor) -> Batch:
        """A batch of the samples with these numbers, padded with zeros to the longest of them."""
        lengths, starts = self.lengths[indices], self.offsets[indices]
        positions = torch.arange(int(lengths.max()))
        mask = positions < lengths[:, None]  # (N, L)
        # Positions behind a sample's end point anywhere valid, and are set to 0 below.
        places = (starts[:, None] + positions).clamp_(max=self.values.shape[-1] - 1)
        x = self.values[..., places]  # (..., N, L)
        if x.ndim == 3:
            x = x.transpose(0, 1)  # (N, C, L)
        x, labels = x.contiguous(), self.labels[indices]
        if bool(mask.all()):
            return Batch(x, labels)
        padding = ~mask if x.ndim == 2 else ~mask[:, None]
        return Batch(x.masked_fill_(padding, 0), labels, mask)

    @cached_property
    def lengths(self) -> Tensor:
        """Length of each sample."""
        return self.offsets.diff()


Split = ImageSplit | SequenceSplit

"""Batches of samples of different lengths."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.errors import InvalidValue


def pad_batch(samples: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Put samples into one batch, each padded with zeros at its end to the longest.

    Args:
        samples: Token numbers (L,), sequences or sounds (channels, L), or images (channels, H, W), as
            `model.transform()` gives them.

    Returns:
        The batch, (N, L) or (N, channels, *spatial); and its mask (N, *spatial), True where it is real, or
        None if all samples are of one size, so that models that take no mask get none.

    Raises:
        InvalidValue: There is no sample, or they differ in dtype or channels.
    """
    if not samples:
        raise InvalidValue("There are no samples to put into a batch.")
    first = samples[0]
    axes = slice(0 if first.ndim == 1 else 1, None)  # texts have no channels
    for sample in samples:
        channels = (
            sample.ndim == first.ndim and sample.shape[: axes.start] == first.shape[: axes.start]
        )
        if not 1 <= sample.ndim <= 3 or not channels or sample.dtype != first.dtype:
            raise InvalidValue(
                f"A batch takes samples of one dtype and as many channels; got {first.dtype} of shape "
                f"{tuple(first.shape)} and {sample.dtype} of shape {tuple(sample.shape)}."
            )
    sizes = [sample.shape[axes] for sample in samples]
    if len(set(sizes)) == 1:
        return torch.stack(list(samples)), None
    largest = [max(lengths) for lengths in zip(*sizes, strict=True)]
    batch = first.new_zeros(len(samples), *first.shape[: axes.start], *largest)
    mask = torch.zeros(len(samples), *largest, dtype=torch.bool, device=first.device)
    for number, (sample, size) in enumerate(zip(samples, sizes, strict=True)):
        real = tuple(slice(length) for length in size)
        batch[number][(slice(None),) * axes.start + real] = sample
        mask[number][real] = True
    return batch, mask

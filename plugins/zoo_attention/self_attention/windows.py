"""Windows: a map cut into blocks, with a halo around each or without, and put together again.

By indices, not by padding and unfolding: so one exported program serves maps of one block and of many.
"""

from __future__ import annotations

import torch
from torch import Tensor


def places(x: Tensor, size: int, halo: int = 0) -> tuple[Tensor, Tensor]:
    """Return where the windows of blocks stand in the map, and which of it is inside, (M, window) both.

    Args:
        x: A map (N, C, *spatial) of P positions; M is the number of its blocks, of all samples.
        size: Side of a block.
        halo: How many positions around a block belong to its window.

    Returns:
        Indices into the N P positions of all samples, of the nearest one where a window leaves its map; and
        whether the window is inside there.
    """
    numbers = [(length + size - 1) // size for length in x.shape[2:]]
    sample = torch.arange(_product([x.shape[0], *numbers]), device=x.device)
    reach = torch.arange(-halo, size + halo, device=x.device)
    axes = []
    for number in reversed(numbers):
        above = sample // number
        # Not `sample % number`: of a remainder ONNX wants a number that is known.
        axes.append(((sample - above * number) * size).unsqueeze(1) + reach)  # (M, side)
        sample = above
    index = sample.unsqueeze(1)
    inside = torch.ones_like(index, dtype=torch.bool)
    for length, place in zip(x.shape[2:], reversed(axes), strict=True):
        there = (place >= 0) & (place < length)
        nearest = place.clamp(min=0).clamp(max=length - 1)
        index = (index.unsqueeze(2) * length + nearest.unsqueeze(1)).flatten(1)
        inside = (inside.unsqueeze(2) & there.unsqueeze(1)).flatten(1)
    return index, inside


def joined(blocks: Tensor, x: Tensor, size: int) -> Tensor:
    """Return tokens of blocks without halos, (M, window, D), as tokens of the map x, (N, P, D)."""
    block = torch.arange(x.shape[0], device=x.device)
    within = torch.zeros_like(block)
    for length in x.shape[2:]:
        place = torch.arange(length, device=x.device)
        number = (length + size - 1) // size
        block = (block.unsqueeze(1) * number + place // size).flatten()
        within = (within.unsqueeze(1) * size + place % size).flatten()
    tokens = blocks.flatten(0, 1)[block * blocks.shape[1] + within]  # (N P, D)
    return torch.unflatten(tokens, 0, (x.shape[0], _product(list(x.shape[2:]))))


def _product(numbers: list[int]) -> int:
    """Return the product of numbers, which may be symbols of an exported program."""
    product = 1
    for number in numbers:
        product = product * number
    return product

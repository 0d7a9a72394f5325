"""Spatial pyramid pooling: the maxima over grids of ever finer bins, one after the other.

Paper    He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition",
         ECCV 2014, TPAMI 2015, arXiv 1406.4729
Formula  y = [y_b for b in bins],   y_b[c, i, j] = maximum of x[c] over rows floor(i H / b) to ceil((i + 1) H / b)
         and columns floor(j W / b) to ceil((j + 1) W / b)
Shapes   x (N, C, *spatial) -> y (N, C * sum of b^ndim), same dtype and device
Mask     the bins divide the box of the real positions; a bin without any gives zeros
Cost     no parameters, no multiply-adds. Each axis is read once for each of its bins
Follows  the paper
Differs  bins of 1, 2 and 4 are those of the paper's figure 3, as a public note reads it (16, 4 and 1 values of a
         channel); its text has 1, 2 and 3 as an example, and 1, 2, 3 and 6 for its ImageNet networks. On
         maps smaller than the grid neighbouring bins share positions
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import InvalidValue
from zoo_pooling import masking, regions
from zoo_pooling.checks import check_call, check_construction, check_integer


class SpatialPyramidPool(nn.Module):
    """Pool a map to its maxima over several grids, which keeps where things are.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        bins: Number of bins on each axis, for each level of the pyramid; each at least 1.

    Attributes:
        out_features: Width of the vector, C times the number of bins of all levels.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2, bins: Sequence[int] = (1, 2, 4)) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        if isinstance(bins, str) or not isinstance(bins, Sequence) or not bins:
            raise InvalidValue(
                f"SpatialPyramidPool: bins is {bins!r}, but must be whole numbers, e.g. [1, 2, 4]."
            )
        for number in bins:
            check_integer(self, "one of bins", number)
        self.channels = channels
        self.ndim = ndim
        self.bins = tuple(bins)
        self.out_features = channels * sum(number**ndim for number in bins)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample: level by level, in it channel by channel."""
        check_call(self, x, mask)
        boxes = [regions.box(x, mask, axis) for axis in masking.axes(x)]
        finest = max(self.bins)
        x = masking.fill(x, mask, -math.inf)
        # torch's pooling is the formula, but cannot be exported for any size.
        make = _pool if mask is None and not torch.compiler.is_compiling() else _grid
        grid = make(x, boxes, finest)  # (N, C, finest, ...)
        levels = [_merge(grid, b) if finest % b == 0 else make(x, boxes, b) for b in self.bins]
        return regions.zero_empty(torch.cat([level.flatten(1) for level in levels], 1))


def _pool(x: Tensor, _: list[tuple[Tensor, Tensor]], bins: int) -> Tensor:
    """Return the maxima over a grid of bins, (N, C, bins, ...), of the whole map."""
    pool = functional.adaptive_max_pool1d if x.ndim == 3 else functional.adaptive_max_pool2d
    return pool(x, bins)


def _grid(x: Tensor, boxes: list[tuple[Tensor, Tensor]], bins: int) -> Tensor:
    """Return the maxima over a grid of bins, (N, C, bins, ...)."""
    number = torch.arange(bins, device=x.device)
    for axis in masking.axes(x):
        first, extent = boxes[axis - 2]
        starts = first + number * extent // bins
        ends = first + ((number + 1) * extent + bins - 1) // bins
        x = regions.window_maxima(x, axis, starts, ends)
    return x


def _merge(grid: Tensor, bins: int) -> Tensor:
    """Return the maxima over a coarser grid whose edges are edges of `grid`, too."""
    for axis in masking.axes(grid):
        grid = torch.unflatten(grid, axis, (bins, -1)).amax(axis + 1)
    return grid

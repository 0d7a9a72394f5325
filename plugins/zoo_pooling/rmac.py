"""Regional maximum activations: the sum of the maxima over many square regions, each of length 1.

Paper    Tolias et al., "Particular object retrieval with integral max-pooling of CNN activations",
         ICLR 2016, arXiv 1511.05879
Formula  y = s / ||s||_2,   s = sum over regions R of f_R / ||f_R||_2,   f_R = maximum of x over R
         scale l = 1 ... L: squares of width floor(2 min(H, W) / (l + 1)), l on the short side and l + m - 1
         on the long one, evenly spaced, where m lets neighbours at l = 1 share as near to `overlap` as it can
Shapes   x (N, C, *spatial) -> y (N, C), same dtype and device
Mask     regions are laid over the box of the real positions; a sample without any gives zeros
Cost     no parameters, no multiply-adds. C P comparisons for each of the windows on an axis
Follows  the paper; how many regions, a public toolbox
Differs  no whitening of f_R. m is 2 to 7 unless H = W, and the sum may hold the whole map as one more region
         (`use_whole`), as in the retrieval toolbox of F. Radenovic (cirtorch), where the last division is a
         layer of its own. A region starts by a whole division, there a float floored. A sequence is its short side
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import InvalidValue
from zoo_pooling import masking, regions
from zoo_pooling.checks import check_bool, check_call, check_construction, check_integer

MOST_STEPS = 7
EPS = 1e-6  # the least length to divide by: gradients of a map of zeros stay small


class RegionalMaximumActivations(nn.Module):
    """Pool a map to the sum of what its regions show at most.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        scales: Number of scales L, at least 1.
        overlap: Wanted overlap of neighbouring regions, 0 to 1 (below 1).
        use_whole: Whether the whole map is one more region.

    Attributes:
        out_features: Width of the vector, C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        scales: int = 3,
        overlap: float = 0.4,
        use_whole: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "scales", scales)
        check_bool(self, "use_whole", use_whole)
        if (
            isinstance(overlap, bool)
            or not isinstance(overlap, int | float)
            or not 0 <= overlap < 1
        ):
            raise InvalidValue(
                f"RegionalMaximumActivations: overlap is {overlap!r}, but must be from 0 to below 1."
            )
        self.channels = channels
        self.ndim = ndim
        self.scales = scales
        self.overlap = overlap
        self.use_whole = use_whole
        self.out_features = channels

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        boxes = [regions.box(x, mask, axis) for axis in masking.axes(x)]
        extra = self._extra([extent for _, extent in boxes])
        short = torch.cat([extent for _, extent in boxes], 1).amin(1, keepdim=True)  # (N, 1)
        square = self.ndim == 1 or (mask is None and _is_square(x))
        filled = masking.fill(x, mask, -math.inf)
        total = _unit(masking.amax(x, mask)) if self.use_whole else 0.0
        for scale in range(1, self.scales + 1):
            width = 2 * short // (scale + 1)
            maxima = filled
            for axis in masking.axes(x):
                first, extent = boxes[axis - 2]
                number = scale + extra[axis - 2]  # (N, 1)
                order = torch.arange(scale if square else scale + MOST_STEPS - 1, device=x.device)
                starts = first + order * (extent - width) // (number - 1).clamp(min=1)
                ends = torch.where(order < number, starts + width, starts)  # none where not wanted
                maxima = regions.window_maxima(maxima, axis, starts, ends)
            total = total + _unit(regions.zero_empty(maxima)).sum(masking.axes(x))
        return functional.normalize(total, dim=1, eps=EPS).to(x.dtype)  # type: ignore[arg-type]  # a tensor by now

    def _extra(self, extents: list[Tensor]) -> list[Tensor]:
        """Return how many regions more than the short side each axis has, (N, 1) each."""
        if self.ndim == 1:
            return [torch.zeros_like(extents[0])]
        height, width = extents
        short = torch.minimum(height, width)
        steps = torch.arange(1, MOST_STEPS, device=height.device)
        shared = 1 - (torch.maximum(height, width) - short) / (steps * short)  # (N, 6)
        nearest = (shared - self.overlap).abs().argmin(1, keepdim=True) + 1
        return [torch.where(a > b, nearest, 0) for a, b in ((height, width), (width, height))]


def _is_square(x: Tensor) -> bool:
    """Tell whether a map is known to be square: in an export for any size nothing is known."""
    return all(isinstance(size, int) for size in x.shape[2:]) and x.shape[2] == x.shape[3]


def _unit(vectors: Tensor) -> Tensor:
    """Return vectors (N, C, ...) divided by their lengths, zeros as they are."""
    return functional.normalize(masking.widen(vectors), dim=1, eps=EPS)

"""Half maps: what is read may be pooled over two positions an axis, at a quarter of the cost on planes.

Paper    Wang et al., "Non-local Neural Networks", CVPR 2018, arXiv 1711.07971, section 3.3
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional

from zoo_attention import masking
from zoo_attention.self_attention import reading


def halved(row: Tensor, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return tokens (N, L, D) of x by maxima over two positions an axis, (N, K, D), and their mask."""
    small = _halve(masking.fill(reading.as_map(row, x), mask, -math.inf))
    if mask is None:
        return reading.tokens(small, None), None
    kept = _halve(mask.unsqueeze(1).to(x.dtype)).squeeze(1) > 0
    return reading.tokens(small, kept), kept


def _halve(x: Tensor) -> Tensor:
    """Return maxima over two positions an axis, of one at an odd end."""
    if x.ndim == 3:  # torch's pooling on lines is exported for one length only
        return functional.max_pool2d(x.unsqueeze(2), (1, 2), ceil_mode=True).squeeze(2)
    return functional.max_pool2d(x, 2, ceil_mode=True)


def unhalved(weights: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    """Return weights (N, K) of the windows of `halved` as (N, *spatial): their positions share them."""
    real = weights.new_ones(x.shape[0], *x.shape[2:]) if mask is None else mask.to(weights.dtype)
    pad = [side for size in reversed(x.shape[2:]) for side in (0, size % 2)]
    pool = functional.avg_pool1d if x.ndim == 3 else functional.avg_pool2d
    number: Tensor = pool(functional.pad(real, pad).unsqueeze(1), 2).squeeze(1) * 2 ** (x.ndim - 2)
    share = weights.reshape(number.shape) / number.clamp(min=1)
    for axis, size in enumerate(x.shape[2:], 1):
        share = share.repeat_interleave(2, axis).narrow(axis, 0, size)
    return share * real

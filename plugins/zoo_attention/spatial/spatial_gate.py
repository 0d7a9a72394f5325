"""Spatial gate: weigh positions by the mean and maximum of their channels, CBAM's second half.

Paper    Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018, arXiv 1807.06521
Formula  y = x * sigmoid(conv7x7([mean of x over channels; maximum of x over channels]))
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; conv7 for ndim 1
Mask     masked positions are zeros to the convolution
Cost     2 k parameters, 2 k P + C P multiply-adds, k = kernel_size^ndim; `use_batch_norm=True`: 2 more parameters
Follows  the paper
Differs  no norm, as in the formula; the authors' code has a batch norm of momentum 0.01 after the convolution
         (`use_batch_norm=True`), whose weight its networks set to 0 at the start: the gate is 1/2. Here it is 1
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking, maxima, normalizing
from zoo_attention.checks import (
    check_batch_norm,
    check_bool,
    check_call,
    check_construction,
    check_odd,
)


class Layers(Protocol):
    """What a module has that weighs positions by `spatial_weights`."""

    conv: nn.Module
    norm: nn.Module | None


def make_layers(
    ndim: int, kernel_size: int, *, use_batch_norm: bool
) -> tuple[nn.Module, nn.Module | None]:
    """Return the convolution and the norm, if any, that `spatial_weights` needs."""
    conv, norm = (nn.Conv1d, nn.BatchNorm1d) if ndim == 1 else (nn.Conv2d, nn.BatchNorm2d)
    layer = conv(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
    return layer, norm(1, momentum=0.01) if use_batch_norm else None


def spatial_weights(module: Layers, x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the weights of positions, (N, 1, *spatial)."""
    pooled = torch.cat([masking.mean_of_channels(x), maxima.amax(x, 1, keepdim=True)], 1)
    logits = module.conv(masking.fill(pooled, mask, 0.0))  # (N, 1, *spatial)
    if module.norm is not None:
        check_batch_norm(cast("nn.Module", module), x, mask)
        logits = normalizing.batch_norm(module.norm, logits, mask)
    return torch.sigmoid(logits)


class SpatialGate(nn.Module):
    """Weigh the positions of a map.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        kernel_size: Side of the convolution over positions, odd.
        use_batch_norm: Whether a batch norm follows the convolution. In training it needs more than
            one position in the batch.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        kernel_size: int = 7,
        use_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_odd(self, "kernel_size", kernel_size)
        check_bool(self, "use_batch_norm", use_batch_norm)
        self.channels = channels
        self.ndim = ndim
        self.conv, self.norm = make_layers(ndim, kernel_size, use_batch_norm=use_batch_norm)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its positions weighed."""
        check_call(self, x, mask)
        return x * spatial_weights(self, x, mask).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position, between 0 and 1."""
        check_call(self, x, mask)
        return AttentionMap(spatial=spatial_weights(self, x, mask).squeeze(1))

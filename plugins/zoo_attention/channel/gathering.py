"""How gather-excite gathers: means of windows, strided convolutions, or one as large as the map.

Each takes x (N, C, *spatial) with its mask, and returns one value for every `extent` positions along each
axis, with their mask; for an extent of None one value in all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import InvalidValue
from zoo_attention import masking, normalizing

_CONV = {1: nn.Conv1d, 2: nn.Conv2d}
_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}


class MeanGather(nn.Module):
    """The mean of the whole map, or of windows of 2 extent - 1 positions a side."""

    def __init__(self, ndim: int, extent: int | None) -> None:
        super().__init__()
        self.ndim = ndim
        self.extent = extent

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the means over real positions."""
        is_known = not torch.compiler.is_compiling()
        if self.extent is None or (is_known and max(x.shape[2:]) <= self.extent):
            return masking.spread(masking.mean(x, mask), x)  # (N, C, 1, ...)
        if mask is None:
            return self._windows(x)
        total = self._windows(masking.fill(x, mask, 0.0))
        share = self._windows(mask.unsqueeze(1).to(x.dtype))
        return total / torch.where(share > 0, share, 1.0)

    def _windows(self, x: Tensor) -> Tensor:
        side = self.extent or 1
        if self.ndim == 1:
            return functional.avg_pool1d(x, 2 * side - 1, side, side - 1, count_include_pad=False)
        if x.requires_grad or torch._C._are_functorch_transforms_active():
            return functional.avg_pool2d(x, 2 * side - 1, side, side - 1, count_include_pad=False)
        # On a CPU, copying to this layout and pooling there takes less time than pooling in the other,
        # but for the gradient.
        last = x.contiguous(memory_format=torch.channels_last)
        z = functional.avg_pool2d(last, 2 * side - 1, side, side - 1, count_include_pad=False)
        return z if x.is_contiguous(memory_format=torch.channels_last) else z.contiguous()


class StridedGather(nn.Module):
    """Depth-wise convolutions of stride 2, each with a batch norm, and ReLU between them."""

    def __init__(self, channels: int, ndim: int, extent: int) -> None:
        super().__init__()
        steps = range(int(math.log2(extent)))
        self.convs = nn.ModuleList(
            _CONV[ndim](channels, channels, 3, stride=2, padding=1, groups=channels, bias=False)
            for _ in steps
        )
        self.norms = nn.ModuleList(_NORM[ndim](channels) for _ in steps)
        self.ndim = ndim

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the last norm's output."""
        for step, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = conv(masking.fill(functional.relu(x) if step else x, mask, 0.0))
            if mask is not None:  # the real ones among the positions that the kernel stood on
                mask = mask[:, ::2] if self.ndim == 1 else mask[:, ::2, ::2]
            x = normalizing.batch_norm(norm, x, mask)
        return x


class WholeGather(nn.Module):
    """One depth-wise convolution as large as the map, its kernel stretched to it, and a batch norm."""

    def __init__(self, channels: int, ndim: int, kernel_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, *[kernel_size] * ndim))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as torch's convolutions
        self.norm = _NORM[ndim](channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return one value a channel, (N, C, 1, ...)."""
        if mask is not None:
            raise InvalidValue(
                "GatherExcite: a convolution of the whole map cannot honour a mask."
                ' Give an extent, or parameters "none", or no mask.'
            )
        size = x.shape[2:]
        mode = "linear" if len(size) == 1 else "bilinear"
        stretch = math.prod(self.weight.shape[2:]) / math.prod(size)
        kernel = functional.interpolate(self.weight, size, mode=mode) * stretch  # its sum is kept
        z = (x * kernel.squeeze(1)).flatten(2).sum(2)  # (N, C)
        return normalizing.batch_norm(self.norm, masking.spread(z, x), None)


def repeat(gate: Tensor, extent: int, like: Tensor) -> Tensor:
    """Return a gate with each value `extent` times along each axis, cut to the size of another map."""
    size = list(like.shape[2:])
    if not torch.compiler.is_compiling() and all(side == 1 for side in gate.shape[2:]):
        return gate.expand(-1, -1, *size)
    # torch's `interpolate` takes a size or a factor: with both, no wider map is made and cut.
    if len(size) == 1:
        wide: Tensor = torch.ops.aten.upsample_nearest1d(gate, size, float(extent))
    else:
        wide = torch.ops.aten.upsample_nearest2d(gate, size, float(extent), float(extent))
    return wide

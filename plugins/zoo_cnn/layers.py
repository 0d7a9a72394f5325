"""What the native backbones are made of, for one and two spatial dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo import InvalidValue

CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
BATCH_NORMS: dict[int, type[nn.BatchNorm1d | nn.BatchNorm2d]] = {
    1: nn.BatchNorm1d,
    2: nn.BatchNorm2d,
}


class OpenSlot(nn.Module):
    """An empty slot: passes its input on until an attention takes its place."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002 - the contract
        """Return `x`."""
        return x


def convolution(
    in_channels: int, out_channels: int, kernel_size: int, *, ndim: int, stride: int = 1
) -> nn.Module:
    """Make a convolution without bias that keeps the size (up to `stride`), He-initialised."""
    conv = CONVOLUTIONS[ndim](
        in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def zero_padding(x: Tensor, mask: Tensor | None) -> Tensor:
    """Set padded positions to 0, which is what a convolution sees beyond the border of a map."""
    return x if mask is None else x.masked_fill(~mask.unsqueeze(1), 0)


def every_second(mask: Tensor, *, ndim: int) -> Tensor:
    """The mask (N, *spatial) of a map after a stride of 2: its output sits on even positions."""
    return mask[:, ::2] if ndim == 1 else mask[:, ::2, ::2]


def max_pool(x: Tensor, mask: Tensor | None, *, ndim: int) -> tuple[Tensor, Tensor | None]:
    """Halve a map (N, C, *spatial), rounding up, by its maxima over real positions; and its mask."""
    pool = _max_pool1d if ndim == 1 else F.max_pool2d
    if mask is None:
        return pool(x, 2, ceil_mode=True), None
    lowest = x.masked_fill(~mask.unsqueeze(1), torch.finfo(x.dtype).min)
    mask = every_second(mask, ndim=ndim)
    return zero_padding(pool(lowest, 2, ceil_mode=True), mask), mask


def _max_pool1d(x: Tensor, kernel_size: int, *, ceil_mode: bool) -> Tensor:
    # torch's own max_pool1d bakes the length of the example into an exported program.
    return F.max_pool2d(x.unsqueeze(2), (1, kernel_size), ceil_mode=ceil_mode).squeeze(2)


def check_stages(
    name: str,
    *,
    in_channels: int,
    widths: Sequence[int],
    depths: Sequence[int],
    kernel_size: int,
    ndim: int,
    least_depth: int = 1,
) -> None:
    """Check the options that the backbones share.

    Raises:
        InvalidValue: One of them is out of its range.
    """
    for option, values, least in (("widths", widths, 1), ("depths", depths, least_depth)):
        sequence = isinstance(values, list | tuple) and len(values) > 0
        if not sequence or not all(type(value) is int and value >= least for value in values):
            raise InvalidValue(
                f"{name}: {option} is {values!r}; give whole numbers of at least {least}, one a stage."
            )
    if len(widths) != len(depths):
        raise InvalidValue(
            f"{name}: {len(widths)} widths {list(widths)} and {len(depths)} depths {list(depths)}; "
            "give one of each a stage."
        )
    if type(kernel_size) is not int or kernel_size < 1 or kernel_size % 2 == 0:
        raise InvalidValue(
            f"{name}: kernel_size is {kernel_size!r}; give an odd number of at least 1."
        )
    if ndim not in (1, 2):
        raise InvalidValue(f"{name}: ndim is {ndim!r}; give 1 for (N, C, L) or 2 for (N, C, H, W).")
    if type(in_channels) is not int or in_channels < 1:
        raise InvalidValue(f"{name}: in_channels is {in_channels!r}; give at least 1.")

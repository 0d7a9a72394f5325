"""The residual network that several backbones are made of: blocks of two convolutions, every slot open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from zoo import Slot

from .layers import BATCH_NORMS, OpenSlot, convolution, every_second, zero_padding

# (in_channels, width, ndim=, stride=) -> what brings a block's input to the shape of its output.
MakeShortcut = Callable[..., nn.Module]


class ResidualNetwork(nn.Module):
    """A stem and stages of residual blocks; stage 1 keeps the size of its input, each later one halves it.

    Args:
        in_channels: Channels of the input.
        ndim: 1 for (N, C, L), 2 for (N, C, H, W).
        widths: Channels of each stage.
        depths: Blocks of each stage.
        kernel_size: Side of the convolutions, odd.
        shortcut: Makes the shortcut of a block that changes channels or size.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        ndim: int,
        widths: Sequence[int],
        depths: Sequence[int],
        kernel_size: int,
        shortcut: MakeShortcut,
    ) -> None:
        super().__init__()
        self.ndim = ndim
        self.widths, self.depths = tuple(widths), tuple(depths)
        self.num_features = widths[-1]
        self.stem = convolution(in_channels, widths[0], kernel_size, ndim=ndim)
        self.norm = BATCH_NORMS[ndim](widths[0])
        self.stages = nn.ModuleList()
        make = partial(ResidualBlock, kernel_size=kernel_size, ndim=ndim, shortcut=shortcut)
        channels = widths[0]
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            first = make(channels, width, stride=1 if number == 0 else 2)
            self.stages.append(
                ResidualStage([first, *(make(width, width) for _ in range(depth - 1))])
            )
            channels = width

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (N, in_channels, *spatial) to the last map (N, num_features, *spatial')."""
        return self.forward_stages(x, mask)[-1]

    def forward_stages(self, x: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return the map of every stage."""
        x = F.relu(self.norm(self.stem(zero_padding(x, mask))))
        maps = []
        for stage in self.stages:
            x, mask = stage(x, mask)
            maps.append(x)
        return maps

    def downsample_mask(self, mask: Tensor) -> Tensor:
        """The mask at the last map, for `mask` (N, *spatial) at the input."""
        for _ in self.widths[1:]:
            mask = every_second(mask, ndim=self.ndim)
        return mask

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 - timm's signature
        """Keep only the maps between blocks for the backward pass, which computes the rest again."""
        for stage in self.stages:
            stage.checkpoints = enable  # type: ignore[assignment]  # a ResidualStage

    def slots(self) -> list[Slot]:
        """List the slots `branch`, `block`, `conv` of every block and `stage` of every stage."""
        return residual_slots(self.widths, self.depths)


def residual_slots(widths: Sequence[int], depths: Sequence[int]) -> list[Slot]:
    """The slots of stages of residual blocks, by the names that the modules here have.

    Args:
        widths: Channels of each stage.
        depths: Residual blocks of each stage.
    """
    found = []
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
        at = f"stages.{stage - 1}"
        for block in range(1, depth + 1):
            place = partial(Slot, channels=width, stage=stage, block=block)
            inside = f"{at}.blocks.{block - 1}"
            found += [
                place(kind="conv", path=f"{inside}.conv2", how="replace"),
                place(kind="branch", path=f"{inside}.branch", how="fill"),
                place(kind="block", path=f"{inside}.after", how="fill"),
            ]
        found.append(
            Slot(kind="stage", path=f"{at}.after", how="fill", channels=width, stage=stage)
        )
    return found


class ResidualStage(nn.Module):
    """Residual blocks, the first of which may change channels and size."""

    def __init__(self, blocks: Sequence[ResidualBlock]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.after = OpenSlot()
        self.checkpoints = False

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the stage's map and the mask at its size."""
        for block in self.blocks:
            if self.checkpoints and torch.is_grad_enabled():
                x, mask = checkpoint(block, x, mask, use_reentrant=False)
            else:
                x, mask = block(x, mask)
        return self.after(x, mask), mask


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut around them."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        kernel_size: int,
        ndim: int,
        shortcut: MakeShortcut,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.ndim, self.stride = ndim, stride
        self.conv1 = convolution(in_channels, width, kernel_size, ndim=ndim, stride=stride)
        self.norm1 = BATCH_NORMS[ndim](width)
        self.conv2 = convolution(width, width, kernel_size, ndim=ndim)
        self.norm2 = BATCH_NORMS[ndim](width)
        self.branch = OpenSlot()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != width:
            self.shortcut = shortcut(in_channels, width, ndim=ndim, stride=stride)
        self.after = OpenSlot()

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the block's map and the mask at its size."""
        shortcut = self.shortcut(x)
        x = self.conv1(zero_padding(x, mask))
        if mask is not None and self.stride != 1:
            mask = every_second(mask, ndim=self.ndim)
        x = F.relu(self.norm1(x))
        x = self.norm2(self.conv2(zero_padding(x, mask)))
        x = F.relu(shortcut + self.branch(x, mask))
        return self.after(x, mask), mask


def projection(in_channels: int, width: int, *, ndim: int, stride: int) -> nn.Module:
    """The paper's option B: a 1x1 convolution, normalised."""
    project = convolution(in_channels, width, 1, ndim=ndim, stride=stride)
    return nn.Sequential(project, BATCH_NORMS[ndim](width))


class ZeroPaddedShortcut(nn.Module):
    """The paper's option A: every `stride`-th position, and zeros as the new channels. No parameters."""

    def __init__(self, in_channels: int, width: int, *, ndim: int, stride: int) -> None:
        super().__init__()
        self.stride, self.ndim = stride, ndim
        self.added = width - in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, *spatial) to (N, width, *spatial / stride, rounded up)."""
        s = self.stride
        x = x[:, :, ::s] if self.ndim == 1 else x[:, :, ::s, ::s]
        return F.pad(x, (0, 0) * self.ndim + (0, self.added))

"""Attention-CNN: a residual network of given widths and depths, with every slot open.

Paper    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv 1512.03385
Formula  block(x) = relu(shortcut(x) + branch(x)),   branch = conv, norm, relu, conv, norm
Shapes   x (N, in_channels, *spatial) -> (N, widths[-1], *spatial / 2^(stages - 1), rounded up)
Cost     about 2 k^ndim C^2 parameters a block of C channels
Differs  one 3x3 stem as in the paper's CIFAR nets; shortcuts that change shape are 1x1 convolutions
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from zoo import Slot

from .layers import BATCH_NORMS, OpenSlot, check_stages, convolution, every_second, zero_padding


class AttentionCNN(nn.Module):
    """Residual CNN; stage 1 keeps the size of its input, each later stage halves it.

    Args:
        in_channels: Channels of the input.
        ndim: 1 for (N, C, L), 2 for (N, C, H, W).
        widths: Channels of each stage.
        depths: Blocks of each stage; one number for all of them.
        kernel_size: Side of the convolutions, odd.

    Raises:
        InvalidValue: An option is out of its range, or widths and depths differ in number.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        ndim: int = 2,
        widths: Sequence[int] = (32, 64, 128),
        depths: Sequence[int] | int = 2,
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        depths = [depths] * len(widths) if isinstance(depths, int) else depths
        check_stages(
            "attn_cnn",
            in_channels=in_channels,
            widths=widths,
            depths=depths,
            kernel_size=kernel_size,
            ndim=ndim,
        )
        self.ndim = ndim
        self.widths, self.depths = tuple(widths), tuple(depths)
        self.num_features = widths[-1]
        self.stem = convolution(in_channels, widths[0], kernel_size, ndim=ndim)
        self.norm = BATCH_NORMS[ndim](widths[0])
        self.stages = nn.ModuleList()
        channels = widths[0]
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            stride = 1 if number == 0 else 2
            self.stages.append(
                ResidualStage(channels, width, depth, kernel_size, ndim=ndim, stride=stride)
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

    def slots(self) -> list[Slot]:
        """List the slots `branch`, `block`, `conv` of every block and `stage` of every stage."""
        found = []
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True), 1):
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
    """`depth` residual blocks, the first of which changes channels and size."""

    def __init__(
        self, in_channels: int, width: int, depth: int, kernel_size: int, *, ndim: int, stride: int
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ResidualBlock(
                in_channels if position == 0 else width,
                width,
                kernel_size,
                ndim=ndim,
                stride=stride if position == 0 else 1,
            )
            for position in range(depth)
        )
        self.after = OpenSlot()

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the stage's map and the mask at its size."""
        for block in self.blocks:
            x, mask = block(x, mask)
        return self.after(x, mask), mask


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut around them."""

    def __init__(
        self, in_channels: int, width: int, kernel_size: int, *, ndim: int, stride: int
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
            project = convolution(in_channels, width, 1, ndim=ndim, stride=stride)
            self.shortcut = nn.Sequential(project, BATCH_NORMS[ndim](width))
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

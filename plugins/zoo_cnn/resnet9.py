"""ResNet-9: convolutions that are pooled at once, with residual blocks between them; made to train fast.

Paper    Page, "How to Train Your ResNet", myrtle.ai 2018: the network of its record on DAWNBench
Formula  stage(x) = blocks(relu(norm(maxpool(conv(x))))),   block(x) = x + relu(norm(conv(relu(norm(conv(x))))))
Shapes   x (N, in_channels, *spatial) -> (N, widths[-1], *spatial / 2^stages, rounded up)
Mask     padding changes nothing in eval mode. In training it moves the statistics of the batch norms, which take
         padded positions along; `zoo train` keeps it small: a batch has samples of like length
Cost     of the defaults: 6.6 M parameters
Differs  pools before the norm, a quarter of the work, as Jordan, arXiv 2404.00498; odd sizes are rounded up; 1-D
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from zoo import InvalidValue, Slot

from .layers import (
    BATCH_NORMS,
    OpenSlot,
    check_stages,
    convolution,
    every_second,
    max_pool,
    zero_padding,
)
from .residual import residual_slots


class ResNet9(nn.Module):
    """Residual CNN of few layers; each stage halves the size of its input.

    Args:
        in_channels: Channels of the input.
        ndim: 1 for (N, C, L), 2 for (N, C, H, W).
        stem_width: Channels of the first convolution.
        widths: Channels of each stage.
        depths: Residual blocks of each stage, 0 or more; one number for all of them.

    Raises:
        InvalidValue: An option is out of its range, or widths and depths differ in number.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        ndim: int = 2,
        stem_width: int = 64,
        widths: Sequence[int] = (128, 256, 512),
        depths: Sequence[int] | int = (1, 0, 1),
    ) -> None:
        super().__init__()
        stages = len(widths) if isinstance(widths, list | tuple) else 0
        depths = [depths] * stages if isinstance(depths, int) else depths
        check_stages(
            "resnet9",
            in_channels=in_channels,
            widths=widths,
            depths=depths,
            least_depth=0,
            kernel_size=3,
            ndim=ndim,
        )
        if type(stem_width) is not int or stem_width < 1:
            raise InvalidValue(f"resnet9: stem_width is {stem_width!r}; give at least 1.")
        self.ndim = ndim
        self.widths, self.depths = tuple(widths), tuple(depths)
        self.num_features = widths[-1]
        self.stem = convolution(in_channels, stem_width, 3, ndim=ndim)
        self.norm = BATCH_NORMS[ndim](stem_width)
        self.stages = nn.ModuleList()
        channels = stem_width
        for width, depth in zip(widths, depths, strict=True):
            self.stages.append(PooledStage(channels, width, depth, ndim=ndim))
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
        for _ in self.stages:
            mask = every_second(mask, ndim=self.ndim)
        return mask

    def slots(self) -> list[Slot]:
        """List the slots `branch`, `block`, `conv` of every residual block and `stage` of every stage."""
        return residual_slots(self.widths, self.depths)


class PooledStage(nn.Module):
    """A convolution, max pooling, and `depth` residual blocks."""

    def __init__(self, in_channels: int, width: int, depth: int, *, ndim: int) -> None:
        super().__init__()
        self.ndim = ndim
        self.conv = convolution(in_channels, width, 3, ndim=ndim)
        self.norm = BATCH_NORMS[ndim](width)
        self.blocks = nn.ModuleList(PlainBlock(width, ndim=ndim) for _ in range(depth))
        self.after = OpenSlot()

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the stage's map and the mask at its size."""
        x, mask = max_pool(self.conv(zero_padding(x, mask)), mask, ndim=self.ndim)
        x = F.relu(self.norm(x))
        for block in self.blocks:
            x = block(x, mask)
        return self.after(x, mask), mask


class PlainBlock(nn.Module):
    """Two convolutions and a shortcut around them, added behind the last ReLU."""

    def __init__(self, width: int, *, ndim: int) -> None:
        super().__init__()
        self.conv1 = convolution(width, width, 3, ndim=ndim)
        self.norm1 = BATCH_NORMS[ndim](width)
        self.conv2 = convolution(width, width, 3, ndim=ndim)
        self.norm2 = BATCH_NORMS[ndim](width)
        self.branch = OpenSlot()
        self.after = OpenSlot()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (N, width, *spatial) to the same shape."""
        y = F.relu(self.norm1(self.conv1(zero_padding(x, mask))))
        y = F.relu(self.norm2(self.conv2(zero_padding(y, mask))))
        sum_: Tensor = self.after(x + self.branch(y, mask), mask)
        return sum_

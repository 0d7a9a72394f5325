"""Plain CNN: the classic stages of convolutions that each end in 2x2 max pooling.

Paper    Simonyan, Zisserman, "Very Deep Convolutional Networks ...", ICLR 2015, arXiv 1409.1556
Formula  stage(x) = maxpool(relu(norm(conv(... x ...))))
Shapes   x (N, in_channels, *spatial) -> (N, widths[-1], *spatial / 2^stages, rounded up)
Mask     padding changes nothing in eval mode. In training it moves the statistics of the batch norms, which take
         padded positions along; `zoo train` keeps it small: a batch has samples of like length
Cost     about k^ndim C^2 parameters a convolution of C channels
Differs  batch normalisation after each convolution; odd sizes are rounded up, so that any size works
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from zoo import Slot

from .layers import (
    BATCH_NORMS,
    OpenSlot,
    check_stages,
    convolution,
    every_second,
    max_pool,
    zero_padding,
)


class PlainCNN(nn.Module):
    """CNN without shortcuts; each stage halves the size of its input.

    Args:
        in_channels: Channels of the input.
        ndim: 1 for (N, C, L), 2 for (N, C, H, W).
        widths: Channels of each stage.
        depths: Convolutions of each stage; one number for all of them.
        kernel_size: Side of the convolutions, odd.

    Raises:
        InvalidValue: An option is out of its range, or widths and depths differ in number.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        ndim: int = 2,
        widths: Sequence[int] = (32, 64),
        depths: Sequence[int] | int = 1,
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        stages = len(widths) if isinstance(widths, list | tuple) else 0
        depths = [depths] * stages if isinstance(depths, int) else depths
        check_stages(
            "plain_cnn",
            in_channels=in_channels,
            widths=widths,
            depths=depths,
            kernel_size=kernel_size,
            ndim=ndim,
        )
        self.ndim = ndim
        self.in_channels = in_channels
        self.widths, self.depths = tuple(widths), tuple(depths)
        self.num_features = widths[-1]
        self.stages = nn.ModuleList()
        channels = in_channels
        for width, depth in zip(widths, depths, strict=True):
            self.stages.append(PoolStage(channels, width, depth, kernel_size, ndim=ndim))
            channels = width

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (N, in_channels, *spatial) to the last map (N, num_features, *spatial')."""
        return self.forward_stages(x, mask)[-1]

    def forward_stages(self, x: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return the map of every stage."""
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
        """List the slots `conv` and `block` of every convolution and `stage` of every stage."""
        found = []
        before = self.in_channels
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True), 1):
            at = f"stages.{stage - 1}"
            for block in range(1, depth + 1):
                place = partial(Slot, stage=stage, block=block)
                inside = f"{at}.blocks.{block - 1}"
                found += [
                    place(
                        kind="conv",
                        path=f"{inside}.conv",
                        how="replace",
                        channels=before,
                        out_channels=width,
                    ),
                    place(kind="block", path=f"{inside}.after", how="fill", channels=width),
                ]
                before = width
            found.append(
                Slot(kind="stage", path=f"{at}.after", how="fill", channels=width, stage=stage)
            )
        return found


class PoolStage(nn.Module):
    """`depth` convolutions, then max pooling."""

    def __init__(
        self, in_channels: int, width: int, depth: int, kernel_size: int, *, ndim: int
    ) -> None:
        super().__init__()
        self.ndim = ndim
        self.blocks = nn.ModuleList(
            ConvolutionBlock(in_channels if position == 0 else width, width, kernel_size, ndim=ndim)
            for position in range(depth)
        )
        self.after = OpenSlot()

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the stage's map and the mask at its size."""
        for block in self.blocks:
            x = block(x, mask)
        x, mask = max_pool(x, mask, ndim=self.ndim)
        return self.after(x, mask), mask


class ConvolutionBlock(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, width: int, kernel_size: int, *, ndim: int) -> None:
        super().__init__()
        self.conv = convolution(in_channels, width, kernel_size, ndim=ndim)
        self.norm = BATCH_NORMS[ndim](width)
        self.after = OpenSlot()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (N, C, *spatial) to (N, width, *spatial)."""
        y: Tensor = self.after(F.relu(self.norm(self.conv(zero_padding(x, mask)))), mask)
        return y

"""Attention-CNN: a residual network of given widths and depths, with every slot open.

Paper    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv 1512.03385
Formula  block(x) = relu(shortcut(x) + branch(x)),   branch = conv, norm, relu, conv, norm
Shapes   x (N, in_channels, *spatial) -> (N, widths[-1], *spatial / 2^(stages - 1), rounded up)
Mask     padding changes nothing in eval mode. In training it moves the statistics of the batch norms, which take
         padded positions along; `zoo train` keeps it small: a batch has samples of like length
Cost     about 2 k^ndim C^2 parameters a block of C channels
Differs  one 3x3 stem as in the paper's CIFAR nets; shortcuts that change shape are 1x1 convolutions
"""

from __future__ import annotations

from collections.abc import Sequence

from .layers import check_stages
from .residual import ResidualNetwork, projection


class AttentionCNN(ResidualNetwork):
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
        stages = len(widths) if isinstance(widths, list | tuple) else 0
        depths = [depths] * stages if isinstance(depths, int) else depths
        check_stages(
            "attn_cnn",
            in_channels=in_channels,
            widths=widths,
            depths=depths,
            kernel_size=kernel_size,
            ndim=ndim,
        )
        super().__init__(
            in_channels,
            ndim=ndim,
            widths=widths,
            depths=depths,
            kernel_size=kernel_size,
            shortcut=projection,
        )

"""ResNet for small images: the CIFAR-10 networks of the paper, ResNet-20, 32, 44, 56 and 110.

Paper    He et al., "Deep Residual Learning for Image Recognition", section 4.2, CVPR 2016, arXiv 1512.03385
Formula  block(x) = relu(shortcut(x) + branch(x));   shortcut = every second position, zeros as new channels
Shapes   x (N, in_channels, *spatial) -> (N, widths[-1], *spatial / 2^(stages - 1), rounded up)
Mask     padding changes nothing in eval mode. In training it moves the statistics of the batch norms, which take
         padded positions along; `zoo train` keeps it small: a batch has samples of like length
Cost     depth 20: 0.27 M parameters and 41 M multiply-adds for a 32x32 image
Differs  other widths and numbers of stages, and 1-D; for s stages the depth is 2 s n + 2, the paper's 6 n + 2 for 3
"""

from __future__ import annotations

from collections.abc import Sequence

from zoo import InvalidValue

from .layers import check_stages
from .residual import ResidualNetwork, ZeroPaddedShortcut


class ResNetCIFAR(ResidualNetwork):
    """Residual CNN whose shortcuts have no parameters.

    Args:
        in_channels: Channels of the input.
        ndim: 1 for (N, C, L), 2 for (N, C, H, W).
        depth: Layers with weights, classifier included: 2 x stages x blocks of a stage + 2.
        widths: Channels of each stage, never falling.

    Raises:
        InvalidValue: An option is out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        ndim: int = 2,
        depth: int = 20,
        widths: Sequence[int] = (16, 32, 64),
    ) -> None:
        stages = len(widths) if isinstance(widths, list | tuple) and widths else 1
        if type(depth) is not int or depth <= 2 or (depth - 2) % (2 * stages):
            known = ", ".join(str(2 * stages * blocks + 2) for blocks in (3, 5, 7, 9, 18))
            raise InvalidValue(
                f"resnet_cifar: depth is {depth!r}; with {stages} stages it is {2 * stages} n + 2, e.g. {known}."
            )
        depths = [(depth - 2) // (2 * stages)] * stages
        check_stages(
            "resnet_cifar",
            in_channels=in_channels,
            widths=widths,
            depths=depths,
            kernel_size=3,
            ndim=ndim,
        )
        if list(widths) != sorted(widths):
            raise InvalidValue(
                f"resnet_cifar: widths are {list(widths)}; a shortcut without parameters cannot drop channels, "
                "so they must not fall from stage to stage."
            )
        super().__init__(
            in_channels,
            ndim=ndim,
            widths=widths,
            depths=depths,
            kernel_size=3,
            shortcut=ZeroPaddedShortcut,
        )

"""Split-attention: convolve to several splits that compete for each channel.

Paper    Zhang et al., "ResNeSt: Split-Attention Networks", CVPR Workshops 2022, arXiv 2004.08955
Formula  U_1, ..., U_R = the splits of relu(BN(conv(x))), a convolution of C to R C channels in K R groups
         z = relu(BN(W s + b)), s = mean of U_1 + ... + U_R over space
         y = sum of a_r * U_r, a_r = softmax of V_r z + c_r over r;   a = sigmoid where R = 1
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; conv3 for ndim 1
Mask     masked positions are zeros to the convolution; means and norms are over real positions
Cost     k C^2 / K + 2 R C + (R + 1) C h / K + 3 h + R C parameters, P (k C^2 / K + R C) + (R + 1) C h / K
         multiply-adds, K = groups, R = radix, k = kernel_size^ndim, h = K ceil(max(R C // reduction, min_hidden) /
         K)
Follows  the paper; where it is silent, the authors' code
Differs  W and V, in K groups, have biases, as in the authors' code (zhanghang1989/ResNeSt); hidden width is its
         max(R C // reduction, 32), rounded up to a multiple of K. The norm of z, of one sample, which has no
         variance, uses its running statistics
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap, InvalidValue
from zoo_attention import masking
from zoo_attention.branch.choosing import Choice, weighed_sum
from zoo_attention.checks import (
    check_batch_norm,
    check_call,
    check_construction,
    check_integer,
    check_odd,
)
from zoo_attention.normalizing import batch_norm


class SplitAttention(nn.Module):
    """Convolve a map to several splits that compete for each channel.

    Args:
        channels: Number of channels C, a multiple of `radix` times `groups`.
        ndim: Number of spatial dimensions, 1 or 2.
        radix: The paper's R, the number of splits, at least 1.
        groups: The paper's cardinality K, at least 1.
        kernel_size: Side of the convolution, odd.
        reduction: How many times narrower the hidden layer is than all splits, at least 1.
        min_hidden: Width that the hidden layer has at least, from 1.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` cannot be divided.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        radix: int = 2,
        groups: int = 1,
        kernel_size: int = 3,
        reduction: int = 4,
        min_hidden: int = 32,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "radix", radix)
        check_integer(self, "groups", groups)
        check_odd(self, "kernel_size", kernel_size)
        check_integer(self, "reduction", reduction)
        check_integer(self, "min_hidden", min_hidden)
        if channels % (radix * groups):
            raise InvalidValue(
                f"{type(self).__name__}: channels is {channels}, but must be a multiple of "
                f"{radix * groups}, radix times groups."
            )
        self.channels = channels
        self.ndim = ndim
        self.radix = radix
        width, number = radix * channels, radix * groups
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        padding = kernel_size // 2
        self.conv = conv(channels, width, kernel_size, padding=padding, groups=number, bias=False)
        self.norm = nn.BatchNorm1d(width) if ndim == 1 else nn.BatchNorm2d(width)
        hidden = -(-max(width // reduction, min_hidden) // groups) * groups
        self.choice = Choice(channels, radix, hidden, groups=groups, use_bias=True)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the sum of the splits, weighed by channel."""
        splits = self._splits(x, mask)
        return weighed_sum(splits, self.choice(splits, mask)).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of the last split in each channel, between 0 and 1."""
        return AttentionMap(channel=self.choice(self._splits(x, mask), mask)[:, -1])

    def _splits(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
        """Return U_1 ... U_R, (N, C, *spatial) each."""
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        maps = batch_norm(self.norm, self.conv(masking.fill(x, mask, 0.0)), mask)
        return functional.relu(maps, inplace=True).chunk(self.radix, 1)  # ours alone

"""Large kernel attention: weigh values by a large convolution, taken apart into three small ones.

Paper    Guo et al., "Visual Attention Network", CVMJ 2023, arXiv 2202.09741
Formula  a = conv1x1(dwd(dw(x))), dw depth-wise of 2 d - 1, dwd depth-wise of ceil(K / d) with dilation d
         y = a x;   with projections y = x + W2 lka(gelu(W1 x))
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; one-dimensional kernels for ndim 1
Mask     masked positions are zeros to each convolution
Cost     C (k + 3) parameters, C k P + C P multiply-adds, k = (2 dilation - 1)^ndim + ceil(kernel_size /
         dilation)^ndim + C; `use_bias=False`: 3 C fewer parameters; `use_projections=True`: 2 C^2 + 2 C more
         parameters, 2 C^2 P more multiply-adds
Follows  the paper; where it is silent, the authors' code
Differs  a is no gate between 0 and 1: it has no bound, and y grows with the square of x. The paper's networks hold
         this with the projections and the residual connection around it (`use_projections=True`). Biases, which
         the formula does not name, are those of the authors' networks; `use_bias=False` is without
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import (
    check_bool,
    check_call,
    check_construction,
    check_integer,
    check_odd,
)


class LargeKernelAttention(nn.Module):
    """Weigh the values of a map by what a large convolution says of them.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        kernel_size: Side K of the large kernel, with an odd ceil(K / dilation).
        dilation: Dilation d of the second convolution, at least 1.
        use_projections: Whether it stands between two projections, with a residual connection around.
        use_bias: Whether the layers have biases.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    gate_range = (-math.inf, math.inf)  # the paper has no non-linearity there

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        kernel_size: int = 21,
        dilation: int = 3,
        use_projections: bool = False,
        use_bias: bool = True,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "kernel_size", kernel_size)
        check_integer(self, "dilation", dilation)
        check_bool(self, "use_projections", use_projections)
        check_bool(self, "use_bias", use_bias)
        near, far = 2 * dilation - 1, -(-kernel_size // dilation)
        check_odd(self, "kernel_size / dilation, rounded up,", far)
        self.channels = channels
        self.ndim = ndim
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        self.near = conv(
            channels, channels, near, padding=near // 2, groups=channels, bias=use_bias
        )
        self.far = conv(
            channels,
            channels,
            far,
            padding=far // 2 * dilation,
            dilation=dilation,
            groups=channels,
            bias=use_bias,
        )
        self.mix = conv(channels, channels, 1, bias=use_bias)
        self.before = conv(channels, channels, 1, bias=use_bias) if use_projections else None
        self.after = conv(channels, channels, 1, bias=use_bias) if use_projections else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x weighed by the large convolution."""
        u = self._enter(x, mask)
        y = u * self._weights(u, mask).to(u.dtype)
        return y if self.after is None else x + self.after(y).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position, the mean over channels, without bounds."""
        return AttentionMap(spatial=self._weights(self._enter(x, mask), mask).mean(1))

    def _enter(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return what is weighed, with zeros at masked positions."""
        check_call(self, x, mask)
        x = masking.fill(x, mask, 0.0)
        if self.before is None:
            return x
        return masking.fill(functional.gelu(self.before(x)), mask, 0.0)

    def _weights(self, u: Tensor, mask: Tensor | None) -> Tensor:
        weights: Tensor = self.mix(self.far(masking.fill(self.near(u), mask, 0.0)))
        return weights

"""Multi-scale convolutional attention: weigh values by strip convolutions of several lengths.

Paper    Guo et al., "SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation", NeurIPS 2022,
         arXiv 2209.08575
Formula  b = dw5(x), depth-wise;   a = conv1x1(b + sum over k of strip_kx1(strip_1xk(b))), k = 7, 11, 21, depth-wise
         y = a x;   with projections y = x + W2 msca(gelu(W1 x))
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; one strip a length for ndim 1
Mask     masked positions are zeros to each convolution
Cost     C (k + 2 + ndim len(kernel_sizes)) parameters, C k P + C P multiply-adds, k = 5^ndim + ndim
         sum(kernel_sizes) + C; `use_bias=False`: (2 + ndim len(kernel_sizes)) C fewer parameters;
         `use_projections=True`: 2 C^2 + 2 C more parameters, 2 C^2 P more multiply-adds
Follows  the paper; where it is silent, the authors' code
Differs  a is no gate between 0 and 1: it has no bound, and y grows with the square of x. The networks hold this with
         the projections and the residual connection around it (`use_projections=True`, as in the paper's figure
         2). Biases, which the formula does not name, are those of the authors' networks; `use_bias=False`
         is without
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap, InvalidValue
from zoo_attention import masking
from zoo_attention.checks import check_bool, check_call, check_construction, check_odd


class MultiScaleConvAttention(nn.Module):
    """Weigh the values of a map by what strips of several lengths say of them.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        kernel_sizes: Lengths of the strips, odd; one or more.
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
        kernel_sizes: Sequence[int] = (7, 11, 21),
        use_projections: bool = False,
        use_bias: bool = True,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        if not isinstance(kernel_sizes, list | tuple) or not kernel_sizes:
            raise InvalidValue(
                f"MultiScaleConvAttention: kernel_sizes is {kernel_sizes!r}, but must be a list of lengths."
            )
        for size in kernel_sizes:
            check_odd(self, "one of kernel_sizes", size)
        check_bool(self, "use_projections", use_projections)
        check_bool(self, "use_bias", use_bias)
        self.channels = channels
        self.ndim = ndim
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d

        def layer(size: tuple[int, ...], groups: int = channels) -> nn.Module:
            half = tuple(side // 2 for side in size)
            return conv(channels, channels, size, padding=half, groups=groups, bias=use_bias)  # type: ignore[arg-type]  # as long as ndim

        self.near = layer((5,) * ndim)
        self.strips = nn.ModuleList(
            nn.ModuleList(layer(size) for size in ([(k,)] if ndim == 1 else [(1, k), (k, 1)]))
            for k in kernel_sizes
        )
        self.mix = layer((1,) * ndim, 1)
        self.before = layer((1,) * ndim, 1) if use_projections else None
        self.after = layer((1,) * ndim, 1) if use_projections else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x weighed by its strips."""
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
        base = masking.fill(self.near(u), mask, 0.0)
        total = base
        for strips in self.strips:
            branch = base
            for strip in strips:  # type: ignore[attr-defined]  # a ModuleList
                branch = masking.fill(strip(branch), mask, 0.0)
            total = total + branch
        weights: Tensor = self.mix(total)
        return weights

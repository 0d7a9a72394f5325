"""Dynamic convolution: mix several kernels into one for each sample.

Paper    Chen et al., "Dynamic Convolution: Attention over Convolution Kernels", CVPR 2020, arXiv 1912.03458
Formula  p = softmax of (V relu(W z) / t) over kernels, z = mean of x over space
         y = conv(x; sum of p_k W_k) + sum of p_k b_k
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     z is the mean over real positions; masked positions are zeros to the convolution
Cost     K (k C^2 / groups + C) + C h + K h + K parameters, (P + K) k C^2 / groups + C h + K h + K C multiply-adds,
         K = num_kernels, h = max(C // reduction, min_hidden), k = kernel_size^ndim
Follows  the paper
Differs  hidden width is at least 8 (`min_hidden=1` is the paper's). W has no bias. The temperature t stays where
         `set_temperature` puts it, and is saved with the weights. The paper starts at 30 and ends at 1; `zoo train`
         does not anneal it, and at 30 shares stay nearly equal: give it `temperature=1`. The batch norm and
         activation of the paper's layer are the backbone's. A reduction of 4 is that of two public versions
         (one is kaijieshi7/Dynamic-convolution-Pytorch); the paper's text was not at hand for it
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.branch.sampling import MixedKernels, convolve
from zoo_attention.checks import check_bool, check_call, check_integer


class DynamicConv(MixedKernels):
    """Convolve each sample with its own mixture of several kernels.

    Args:
        channels: Number of channels C, a multiple of `groups`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_kernels: The paper's K, at least 1.
        kernel_size: Side of the kernels, odd.
        groups: Number of groups of the convolution, at least 1.
        reduction: How many times narrower the hidden layer is than the map, at least 1.
        min_hidden: Width that the hidden layer has at least, from 1.
        temperature: What the scores are divided by at first, above 0. 30 is for a training that anneals it
            by `set_temperature`; `zoo train` does not, and needs 1.
        use_bias: Whether the kernels have biases.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is no multiple of
            `groups`.
    """

    gate_range = (0.0, math.inf)  # norms of kernels

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        num_kernels: int = 4,
        kernel_size: int = 3,
        groups: int = 1,
        reduction: int = 4,
        min_hidden: int = 8,
        temperature: float = 30.0,
        use_bias: bool = True,
    ) -> None:
        super().__init__(
            channels,
            ndim=ndim,
            num_kernels=num_kernels,
            kernel_size=kernel_size,
            groups=groups,
            temperature=temperature,
        )
        check_integer(self, "reduction", reduction)
        check_integer(self, "min_hidden", min_hidden)
        check_bool(self, "use_bias", use_bias)
        hidden = max(channels // reduction, min_hidden)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, num_kernels)
        bias = torch.empty(num_kernels, channels).uniform_(-self.bound, self.bound)
        self.bias = nn.Parameter(bias) if use_bias else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the convolution of each sample with its kernel."""
        shares, weight = self._kernel(x, mask)
        bias = None if self.bias is None else shares @ self.bias  # (N, C)
        return convolve(masking.fill(x, mask, 0.0), weight, bias, groups=self.groups).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how strongly each channel is made: the l2 norm of the kernel that makes it."""
        return AttentionMap(
            channel=torch.linalg.vector_norm(self._kernel(x, mask)[1].flatten(2), dim=2)
        )

    def no_weight_decay(self) -> set[str]:
        """Return the biases of the kernels, which have an axis more than others."""
        return {"bias"}

    def _kernel(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the share of each kernel, (N, K), and their mixture, (N, C, C / groups, *kernel)."""
        check_call(self, x, mask)
        scores = self.expand(functional.relu(self.reduce(masking.mean(x, mask))))
        shares = (scores / self.temperature).softmax(1)
        return shares, self.mix(shares)

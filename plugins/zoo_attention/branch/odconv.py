"""Omni-dimensional dynamic convolution: weigh a kernel along all its axes, for each sample.

Paper    Li et al., "Omni-Dimensional Dynamic Convolution", ICLR 2022, arXiv 2209.07947
Formula  h = relu(W z), z = mean of x over space;   f, c, s = sigmoid of (V_f h / t), (V_c h / t), (V_s h / t)
         p = softmax of (V_p h / t) over kernels
         y = f * conv(c * x; s * sum of p_k W_k), f one value an output channel, c one an input channel, s one a
         place in the kernel
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     z is the mean over real positions; masked positions are zeros to the convolution
Cost     K k C^2 / groups + 3 C h + (h + 1) (k + K) + 2 C parameters, (P + K + 2) k C^2 / groups + 3 C h + h (k + K)
         + C P multiply-adds, K = num_kernels, h = max(C // reduction, min_hidden), k = kernel_size^ndim
Follows  the authors' code; no batch norm, as in the paper's equation
Differs  f, c and s are shared by all kernels, as in the authors' code (OSVAI/ODConv, read for this), not one a kernel
         as in the paper (and in that code's README). Its batch norm before the relu is `use_batch_norm=True`; that
         of one sample uses its running statistics. That code leaves out f where `groups` is C, and s where
         `kernel_size` is 1: here they stay. It starts from Kaiming's normal weights and biases of 0: here layers
         start as torch's. The temperature t is 1, as in its module, and stays where `set_temperature` puts it, saved
         with the weights; `zoo train` does not anneal it. Its training script lets it fall from 30 to 1 over 10 epochs
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.branch.sampling import MixedKernels, convolve
from zoo_attention.checks import check_bool, check_call, check_integer
from zoo_attention.normalizing import batch_norm


class OmniDimensionalConv(MixedKernels):
    """Convolve each sample with its own mixture of kernels, weighed along all axes.

    Args:
        channels: Number of channels C, a multiple of `groups`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_kernels: The paper's n, at least 1.
        kernel_size: Side of the kernels, odd.
        groups: Number of groups of the convolution, at least 1.
        reduction: How many times narrower the hidden layer is than the map, at least 1.
        min_hidden: Width that the hidden layer has at least, from 1.
        temperature: What the scores are divided by, above 0. `zoo train` leaves it as it is; a training
            that anneals it starts at 30 and calls `set_temperature`.
        use_batch_norm: Whether a batch norm follows the first layer.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is no multiple of
            `groups`.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        num_kernels: int = 4,
        kernel_size: int = 3,
        groups: int = 1,
        reduction: int = 16,
        min_hidden: int = 16,
        temperature: float = 1.0,
        use_batch_norm: bool = False,
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
        check_bool(self, "use_batch_norm", use_batch_norm)
        hidden = max(channels // reduction, min_hidden)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden) if use_batch_norm else None
        self.sizes: list[int] = [channels, channels, kernel_size**ndim, num_kernels]
        self.expand = nn.Linear(hidden, sum(self.sizes))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the convolution of each sample with its kernel."""
        outputs, inputs, places, shares = self._weights(x, mask)
        weight = self.mix(shares)  # (N, C, C / groups, *kernel)
        weight = weight * places.reshape(-1, 1, 1, *self.shape[2:])
        weight = weight * masking.spread(outputs, x)[..., None].to(weight.dtype)
        read = masking.fill(x, mask, 0.0) * masking.spread(inputs, x)
        return convolve(read, weight, None, groups=self.groups).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each input channel, between 0 and 1."""
        return AttentionMap(channel=self._weights(x, mask)[1])

    def _weights(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
        """Return f, c, s and p."""
        check_call(self, x, mask)
        hidden = self.reduce(masking.mean(x, mask))
        if self.norm is not None:
            hidden = batch_norm(self.norm, hidden, None)
        scores = self.expand(functional.relu(hidden)) / self.temperature
        *gates, last = torch.split(scores, self.sizes, 1)
        return *(torch.sigmoid(gate) for gate in gates), last.softmax(1)

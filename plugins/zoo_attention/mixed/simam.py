"""SimAM: weigh each value by how far it stands out of its channel, without parameters.

Paper    Yang et al., "SimAM: A Simple, Parameter-Free Attention Module for CNNs", ICML 2021
Formula  m, v = mean and variance of a channel over space;   e = (x - m)^2 / (4 (v + lambda)) + 1/2
         y = x * sigmoid(e)
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     mean and variance over real positions
Cost     no parameters, 3 C P multiply-adds
Follows  the authors' code
Differs  the paper's equations divide the squares by the number of positions M, its listing and the
         authors' code (ZjjConan/SimAM, read for this) by M - 1. The default is the code;
         `use_sample_variance=False` is the equations. lambda is that code's default; its commands for ImageNet
         set 0.1. A map of one position has variance 0, not 0/0
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import eager, masking
from zoo_attention.checks import check_bool, check_call, check_construction, check_positive


class SimAM(nn.Module):
    """Weigh each value of a map by its distance from the mean of its channel.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        regularization: The paper's lambda, added to the variance, above 0. The authors use 0.1 on
            ImageNet.
        use_sample_variance: Whether the variance of M values divides by M - 1, not by M.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        regularization: float = 1e-4,
        use_sample_variance: bool = True,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_positive(self, "regularization", regularization)
        check_bool(self, "use_sample_variance", use_sample_variance)
        self.channels = channels
        self.ndim = ndim
        self.regularization = regularization
        self.use_sample_variance = use_sample_variance

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with each of its values weighed."""
        gate = self._gate(x, mask)
        return eager.multiply(x, gate, into=gate).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position, the mean over channels, between 1/2 and 1."""
        return AttentionMap(spatial=self._gate(x, mask).mean(1))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()  # squares overflow in the one and are coarse in the other
        deviation = masking.fill(x - masking.spread(masking.mean(x, mask), x), mask, 0.0)
        number = masking.count(x, mask)
        freedom = number - 1 if self.use_sample_variance else number
        # At least 1: one position gives 0 / 1.
        freedom = freedom.clamp(min=1) if isinstance(freedom, Tensor) else max(freedom, 1)
        variance = deviation.square().flatten(2).sum(2) / freedom  # (N, C)
        scale = 0.5 * torch.rsqrt(variance + self.regularization)
        score = deviation * masking.spread(scale, x)  # scaled before squared: no overflow here
        half = torch.full((), 0.5, dtype=x.dtype, device=x.device)
        return torch.addcmul(half, score, score).sigmoid_()

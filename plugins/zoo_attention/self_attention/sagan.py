"""SAGAN's self-attention: each position adds what it reads from all positions, from nothing at the start.

Paper    Zhang et al., "Self-Attention Generative Adversarial Networks", ICML 2019, arXiv 1805.08318
Formula  o_j = W_v (sum over i of softmax_i(W_f x_i . W_g x_j) W_h x_i);   y = x + gamma o, gamma 0 at the start
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     masked positions are not read
Cost     2 C h + 2 C v + 1 parameters, 2 C (h + v) P + (max(h, v) + v) P^2 + C P multiply-adds, h = max(C //
         reduction, 1), v = max(C // value_reduction, 1). Queries narrower than values are filled up with zeros
Follows  the paper
Differs  the softmax is over what is read (i), as in the paper; several copies take it over j. In the paper
         all of W_f, W_g, W_h reduce C by 8; the authors' code (brain-research/self-attention-gan, read for
         this) has `value_reduction=2` and `use_subsampling=True`: a max pooling halves the map that W_f and
         W_h are read from. Spectral norm is the network's, not this module's: torch's parametrisations add it.
         Torch's fused attention has no second derivatives: for a gradient penalty, call the network under
         `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention.checks import check_bool, check_call, check_construction, check_integer
from zoo_attention.self_attention import halving, reading


class SelfAttentionGAN(nn.Module):
    """Add to each position what it reads from all positions, by a learnt amount.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower queries and keys are than the map, at least 1.
        value_reduction: The same of the values.
        use_subsampling: Whether a max pooling halves the map that is read.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    growth = 2

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        reduction: int = 8,
        value_reduction: int = 8,
        use_subsampling: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_integer(self, "value_reduction", value_reduction)
        check_bool(self, "use_subsampling", use_subsampling)
        self.channels = channels
        self.ndim = ndim
        self.use_subsampling = use_subsampling
        width = max(channels // reduction, 1)
        value_width = max(channels // value_reduction, 1)
        self.f = nn.Linear(channels, width, bias=False)
        self.g = nn.Linear(channels, width, bias=False)
        self.h = nn.Linear(channels, value_width, bias=False)
        self.v = nn.Linear(value_width, channels, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with gamma times what each position has read added."""
        check_call(self, x, mask)
        row = reading.tokens(x, mask)  # (N, P, C)
        query, key, value = self.g(row), self.f(row), self.h(row)  # (N, P, h)
        if self.use_subsampling:
            key, kept = halving.halved(key, x, mask)
            value, _ = halving.halved(value, x, mask)
        else:
            kept = mask
        read = reading.attend(query, key, value, kept, scale=1.0)
        return x + reading.as_map(self.v(read) * self.gamma, x)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is read: the mean over real queries, summing to 1.

        With subsampling, the positions of a pooled window share its weight equally.
        """
        check_call(self, x, mask)
        row = reading.tokens(x, mask)
        query, key, kept = self.g(row), self.f(row), mask
        if self.use_subsampling:
            key, kept = halving.halved(key, x, mask)
        found = reading.received(query, key, kept, scale=1.0, queries=mask)
        if self.use_subsampling:
            return AttentionMap(spatial=halving.unhalved(found, x, mask))
        return AttentionMap(spatial=found.reshape(x.shape[0], *x.shape[2:]))

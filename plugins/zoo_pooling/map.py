"""Multi-head attention pooling: a learned query reads from all positions, in several heads.

Paper    Lee et al., "Set Transformer", ICML 2019, arXiv 1810.00825 (pooling by multi-head attention, one seed);
         as the MAP head of Zhai et al., "Scaling Vision Transformers", CVPR 2022, arXiv 2106.04560
Formula  head_i = softmax(q_i K_i^T / sqrt(d)) V_i, with q = W_q s, K = W_k x, V = W_v x, d = C / heads
         z = W_o [head_1; ...; head_h];   y = z + W_2 gelu(W_1 LN(z))
Shapes   x (N, C, *spatial) -> y (N, C), same dtype and device
Mask     masked positions are not read; a sample without any real one gives zeros
Cost     4 C^2 + 2 m C + 8 C + m parameters, 2 C^2 P + 2 C P + 2 C^2 + 2 m C multiply-adds, m = floor(mlp_ratio C)
Follows  the second paper, arXiv 2106.04560; where it is silent, timm
Differs  without the multi-layer part (`use_mlp`) y is z. Equal to timm's AttentionPoolLatent with a LayerNorm
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo_pooling import masking
from zoo_pooling.checks import (
    check_bool,
    check_call,
    check_construction,
    check_heads,
    check_positive,
)


class MultiHeadAttentionPool(nn.Module):
    """Pool a map to what a learned query reads from it.

    Args:
        channels: Number of channels C, a multiple of `num_heads`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_heads: Number of heads, at least 1.
        use_mlp: Whether a residual multi-layer perceptron follows.
        mlp_ratio: Its hidden width, in multiples of C, above 0.

    Attributes:
        out_features: Width of the vector, C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is no multiple of
            `num_heads`.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        num_heads: int = 8,
        use_mlp: bool = True,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_heads(self, channels, num_heads)
        check_bool(self, "use_mlp", use_mlp)
        check_positive(self, "mlp_ratio", mlp_ratio)
        self.channels = channels
        self.ndim = ndim
        self.num_heads = num_heads
        self.out_features = channels
        self.seed = nn.Parameter(torch.empty(1, channels))
        nn.init.trunc_normal_(self.seed, std=channels**-0.5)
        self.query = nn.Linear(channels, channels)
        self.read = nn.Linear(channels, 2 * channels)
        self.merge = nn.Linear(channels, channels)
        width = max(1, int(channels * mlp_ratio))
        self.mlp = (
            nn.Sequential(
                nn.LayerNorm(channels),
                nn.Linear(channels, width),
                nn.GELU(),
                nn.Linear(width, channels),
            )
            if use_mlp
            else None
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        vectors = masking.tokens(masking.fill(x, mask, 0.0))  # (N, P, C)
        parts = self.read(vectors).unflatten(2, (2, self.num_heads, -1))  # (N, P, 2, heads, d)
        key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # (N, heads, P, d) each
        query = self.query(self.seed).unflatten(1, (self.num_heads, 1, -1))  # (1, heads, 1, d)
        query = query.expand(key.shape[0], -1, -1, -1)
        keep = masking.flat(masking.or_all(mask))
        keep = None if keep is None else keep[:, None, None, :]  # (N, 1, 1, P)
        heads = functional.scaled_dot_product_attention(query, key, value, attn_mask=keep)
        y = self.merge(heads.flatten(1))  # (N, C)
        if self.mlp is not None:
            y = y + self.mlp(y)
        return masking.zero_empty(y, mask).to(x.dtype)

    def no_weight_decay(self) -> set[str]:
        """Return the seed, a vector with an axis for the query."""
        return {"seed"}

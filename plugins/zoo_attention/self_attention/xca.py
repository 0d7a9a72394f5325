"""Cross-covariance attention: channels read from channels, by how alike they are over the map.

Paper    El-Nouby et al., "XCiT: Cross-Covariance Image Transformers", NeurIPS 2021, arXiv 2106.09681
Formula  in each head, with Q, K, V (d, P) and rows q, k scaled to length 1 over positions:
         head = softmax(tau Q K^T) V, the softmax over the d channels that are read
         y = x + W_O [head_1; ...; head_h]
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     lengths and products are over real positions
Cost     4 C^2 + num_heads parameters, 4 C^2 P + 2 C^2 P / num_heads + C^2 / num_heads multiply-adds;
         `use_bias=True`: 4 C more parameters
Follows  the paper; the temperature multiplies as in the authors' code
Differs  the temperature tau, one a head and 1 at the start, multiplies as in the authors' code; in the paper it
         divides. The input is added (`use_residual`), the norms and the other parts of the XCiT block are not
         here. No biases, as in the formula (`use_bias`; the code has one in W_O, and its networks, by
         `qkv_bias=True`, in the others, too)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention.checks import check_bool, check_call, check_construction, check_integer
from zoo_attention.self_attention import reading
from zoo_attention.self_attention.heads import check_heads


class CrossCovarianceAttention(nn.Module):
    """Let each channel read from the channels of its head.

    Args:
        channels: Number of channels C, a multiple of `num_heads`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_heads: Number of heads, at least 1.
        use_residual: Whether the input is added to the output.
        use_bias: Whether the projections have biases.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is no multiple of
            `num_heads`.
    """

    growth = 1

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        num_heads: int = 8,
        use_residual: bool = True,
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "num_heads", num_heads)
        check_bool(self, "use_residual", use_residual)
        check_bool(self, "use_bias", use_bias)
        check_heads(self, channels, num_heads)
        self.channels = channels
        self.ndim = ndim
        self.num_heads = num_heads
        self.use_residual = use_residual
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.project = nn.Linear(channels, 3 * channels, bias=use_bias)
        self.merge = nn.Linear(channels, channels, bias=use_bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each channel has read, added to x."""
        weights, value = self._weights(x, mask)
        heads = weights.to(value.dtype) @ value  # (N, heads, d, P)
        y = reading.as_map(self.merge(heads.flatten(1, 2).transpose(1, 2)), x)
        return x + y if self.use_residual else y

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each channel is read: the mean over readers and heads, summing to 1."""
        weights, _ = self._weights(x, mask)
        return AttentionMap(channel=weights.mean(2).flatten(1) / self.num_heads)

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters that the authors do not decay."""
        return {"temperature"}

    def _weights(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return how much each channel (row) reads, (N, heads, d, d), and the values (N, heads, d, P)."""
        check_call(self, x, mask)
        row = reading.tokens(x, mask)  # (N, P, C)
        projected = self.project(row)  # (N, P, 3 C)
        if mask is not None:
            # A bias alone is no channel's value.
            projected = projected * mask.flatten(1).unsqueeze(2)
        parts = projected.unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 4, 1)
        query, key, value = parts.unbind(0)  # (N, heads, d, P)
        query, key = reading.unit(query, 3), reading.unit(key, 3)
        return (query @ key.transpose(2, 3) * self.temperature).softmax(3), value

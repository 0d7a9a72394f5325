"""Multi-head self-attention: each position reads from all positions, in several heads.

Paper    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv 1706.03762
Formula  head_i = softmax(Q_i K_i^T / sqrt(d)) V_i, with Q_i, K_i, V_i = t W_i^Q, t W_i^K, t W_i^V, d = C / heads
         a(x) = [head_1; ...; head_h] W^O, over the positions t of x;   y = x + a(x)
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     masked positions are not read; what they read themselves is without meaning
Cost     4 C^2 parameters, 4 C^2 P + 2 C P^2 multiply-adds; `use_bias=True`: 4 C more parameters
Follows  the paper
Differs  of section 3.1, LayerNorm(x + a(x)), the residual connection is here (`use_residual`) and the norm
         is not: backbones bring their own. No biases, as in the formula (`use_bias`). Sine positions
         (section 3.5) are added to what the attention reads, not to the x of the residual connection
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import (
    check_bool,
    check_call,
    check_choice,
    check_construction,
    check_integer,
)
from zoo_attention.self_attention import reading
from zoo_attention.self_attention.heads import check_heads
from zoo_attention.self_attention.positions import sine_positions


class MultiHeadSelfAttention(nn.Module):
    """Let each position of a map read from all positions.

    Args:
        channels: Number of channels C, a multiple of `num_heads`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_heads: Number of heads, at least 1.
        positions: `"sine"` adds sine positions to what is read; with `"none"` the order of the
            positions does not matter.
        use_residual: Whether the input is added to the output.
        use_bias: Whether the projections have biases.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is no multiple of
            `num_heads`.
    """

    growth = 2

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        num_heads: int = 4,
        positions: Literal["none", "sine"] = "none",
        use_residual: bool = True,
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "num_heads", num_heads)
        check_choice(self, "positions", positions, ("none", "sine"))
        check_bool(self, "use_residual", use_residual)
        check_bool(self, "use_bias", use_bias)
        check_heads(self, channels, num_heads)
        self.channels = channels
        self.ndim = ndim
        self.num_heads = num_heads
        self.positions = positions
        self.use_residual = use_residual
        self.project = nn.Linear(channels, 3 * channels, bias=use_bias)
        self.merge = nn.Linear(channels, channels, bias=use_bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position has read, added to x."""
        query, key, value = self._project(x, mask)
        scale = query.shape[3] ** -0.5
        heads = reading.attend(query, key, value, mask, scale=scale)
        y = reading.as_map(self.merge(heads.transpose(1, 2).flatten(2)), x)
        return x + y if self.use_residual else y

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is read: the mean over heads and real queries, summing to 1."""
        query, key, _ = self._project(x, mask)
        received = reading.received(query, key, mask, scale=query.shape[3] ** -0.5)
        return AttentionMap(spatial=received.reshape(x.shape[0], *x.shape[2:]))

    def _project(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
        """Return query, key and value, each (N, heads, L, C / heads)."""
        check_call(self, x, mask)
        read = masking.fill(x, mask, 0.0)
        if self.positions == "sine":
            read = read + sine_positions(x)
        projected = self.project(read.flatten(2).transpose(1, 2))  # (N, L, 3 C)
        parts = projected.unflatten(2, (3, self.num_heads, -1))  # (N, L, 3, heads, C / heads)
        return parts.permute(2, 0, 3, 1, 4).unbind(0)  # type: ignore[no-any-return]  # torch says Any

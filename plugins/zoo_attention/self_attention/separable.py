"""Separable self-attention: one summary of the map, weighed by each position's own values.

Paper    Mehta & Rastegari, "Separable Self-attention for Mobile Vision Transformers", TMLR 2023,
         arXiv 2206.02680
Formula  c = sum over j of softmax_j(W_I x_j) W_K x_j;   y_i = x_i + W_O (c * relu(W_V x_i))
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     softmax and sum are over real positions
Cost     3 C^2 + 4 C parameters, (2 C^2 + 3 C) P + C^2 multiply-adds
Follows  the paper; where it is silent, the authors' code
Differs  the input is added (`use_residual`), the norm and the other parts of the MobileViTv2 block are not here, and
         the map is not cut into patches: all positions make one summary. Layers have biases, as in the
         authors' code; that of W_I is left out, the softmax would not show it
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention.checks import check_bool, check_call, check_construction
from zoo_attention.self_attention import reading


class SeparableSelfAttention(nn.Module):
    """Weigh each position's values by an attention-pooled summary of the map.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        use_residual: Whether the input is added to the output.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    growth = 1

    def __init__(self, channels: int, *, ndim: int = 2, use_residual: bool = True) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_bool(self, "use_residual", use_residual)
        self.channels = channels
        self.ndim = ndim
        self.use_residual = use_residual
        self.score = nn.Linear(channels, 1, bias=False)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.merge = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position makes of the summary, added to x."""
        weights, row = self._weights(x, mask)
        # The weights sum to 1: pooling before W_K gives what pooling after it would.
        summary = self.key(weights.to(row.dtype) @ row)  # (N, 1, C)
        y = reading.as_map(self.merge(summary * functional.relu(self.value(row))), x)
        return x + y if self.use_residual else y

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position in the summary, summing to 1."""
        weights, _ = self._weights(x, mask)
        return AttentionMap(spatial=weights.reshape(x.shape[0], *x.shape[2:]))

    def _weights(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the weights of positions, (N, 1, P), and the tokens (N, P, C)."""
        check_call(self, x, mask)
        row = reading.tokens(x, mask)
        return reading.softmax(self.score(row).transpose(1, 2), mask), row

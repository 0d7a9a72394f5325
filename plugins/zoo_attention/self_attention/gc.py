"""Global context: add to all positions one summary of the map, made by attention pooling.

Paper    Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond", ICCV Workshops
         2019, arXiv 1904.11492
Formula  c = sum over j of softmax_j(W_k x_j) x_j;   t = W_v2 relu(LN(W_v1 c));   y_i = x_i + t
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     softmax and sum are over real positions
Cost     C + 2 C h + 2 h parameters, 2 C P + 2 C h multiply-adds, h = max(C // reduction, min_hidden);
         `use_bias=True`: C + h more parameters; `fusion='scale'`: C P more multiply-adds
Follows  the paper; where it is silent, the authors' code
Differs  hidden width is at least 8: a LayerNorm of one value is always 0. `min_hidden=1` is the paper's. No
         biases, as in the formula; the authors' code (xvjiarui/GCNet, read for this) has them
         (`use_bias=True`). W_v2 starts at 0 as there: the block starts as identity. `fusion="scale"` is
         y = x * sigmoid(t), the paper's other form, which starts as x / 2
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking, weighing
from zoo_attention.checks import (
    check_bool,
    check_call,
    check_choice,
    check_construction,
    check_integer,
)
from zoo_attention.self_attention import reading


class GlobalContext(nn.Module):
    """Add to all positions, or weigh channels by, an attention-pooled summary of the map.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower the hidden layer is than the map, at least 1.
        min_hidden: Width that the hidden layer has at least, from 1.
        fusion: `"add"` adds the summary to each position, `"scale"` weighs channels by its sigmoid.
        use_bias: Whether the two layers of the transform have biases.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    growth = 1

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        reduction: int = 16,
        min_hidden: int = 8,
        fusion: Literal["add", "scale"] = "add",
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_integer(self, "min_hidden", min_hidden)
        check_choice(self, "fusion", fusion, ("add", "scale"))
        check_bool(self, "use_bias", use_bias)
        self.channels = channels
        self.ndim = ndim
        self.fusion = fusion
        width = max(channels // reduction, min_hidden)
        self.score = nn.Linear(channels, 1, bias=False)  # a bias would leave the softmax as it is
        self.reduce = nn.Linear(channels, width, bias=use_bias)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, channels, bias=use_bias)
        nn.init.zeros_(self.expand.weight)
        if use_bias:
            nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with the summary added, or with its channels weighed by it."""
        weights, filled = self._weights(x, mask)
        values = filled.flatten(2).transpose(1, 2)  # (N, P, C)
        context = torch.bmm(weights.to(x.dtype), values).squeeze(1)  # (N, C)
        summary = self.expand(functional.relu(self.norm(self.reduce(context))))
        if self.fusion == "add":
            return x + masking.spread(summary, x)
        return weighing.weigh(x, summary.sigmoid())

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position in the summary, summing to 1."""
        weights, _ = self._weights(x, mask)
        return AttentionMap(spatial=weights.reshape(x.shape[0], *x.shape[2:]))

    def _weights(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the weights of positions, (N, 1, P), and x with masked positions as 0."""
        check_call(self, x, mask)
        filled = masking.fill(x, mask, 0.0)
        weight = self.score.weight.expand(x.shape[0], -1, -1)  # `matmul` would copy the map
        scores = torch.bmm(weight, filled.flatten(2))  # (N, 1, P)
        return reading.softmax(scores, mask), filled

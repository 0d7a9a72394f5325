"""Criss-cross attention: each position reads from its row and column, twice, so that all reach all.

Paper    Huang et al., "CCNet: Criss-Cross Attention for Semantic Segmentation", ICCV 2019, arXiv 1811.11721
Formula  h'_u = h_u + sum over i of softmax_i(q_u . k_i) v_i, i over the H + W - 1 positions of u's row and column,
         with q, k, v = 1x1 convolutions of h; h' replaces h, `recurrence` times with the same weights
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; a line is a map of one row
Mask     masked positions are not read
Cost     C^2 + 2 C d + C + 2 d parameters, recurrence ((C^2 + 2 C d) P + (C + d) P (H + W)) multiply-adds, d = max(C
         // reduction, 1); `use_gamma=True`: 1 more parameter, recurrence C P more multiply-adds
Follows  the paper
Differs  the authors' code (speedinghzl/CCNet, read for this) weighs the sum by a parameter that starts at 0,
         and runs on CUDA only; the default is the paper, `use_gamma=True` has that weight
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import check_bool, check_call, check_construction, check_integer
from zoo_attention.self_attention import reading


class CrissCrossAttention(nn.Module):
    """Add to each position what it reads from its row and column.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower queries and keys are than the map, at least 1.
        recurrence: How many times it is done, at least 1.
        use_gamma: Whether what is read is weighed by a parameter that starts at 0.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        reduction: int = 8,
        recurrence: int = 2,
        use_gamma: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_integer(self, "recurrence", recurrence)
        check_bool(self, "use_gamma", use_gamma)
        self.channels = channels
        self.ndim = ndim
        self.growth = 2 if ndim == 1 else 1.5  # each position reads lines, of a map's sides
        self.recurrence = recurrence
        width = max(channels // reduction, 1)
        self.query = nn.Linear(channels, width)
        self.key = nn.Linear(channels, width)
        self.value = nn.Linear(channels, channels)
        self.gamma = nn.Parameter(torch.zeros(())) if use_gamma else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with what each position has read added."""
        h, keep = self._plane(x, mask)
        for _ in range(self.recurrence):
            h, _, _ = self._step(h, keep, x.dtype)
        return h.movedim(3, 1).reshape(x.shape).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is read: the mean over real queries and times, summing to 1."""
        h, keep = self._plane(x, mask)
        found = torch.zeros_like(h[..., 0])
        for _ in range(self.recurrence):
            h, row, column = self._step(h, keep, x.dtype)
            if keep is not None:  # queries that are real, or all where none is
                real = (keep | ~keep.flatten(1).any(1)[:, None, None]).unsqueeze(3)
                row, column = row * real, column * real
            read = row.sum(2) + column.sum(1).transpose(1, 2)  # (N, H, W)
            found = found + read / read.sum((1, 2), keepdim=True) / self.recurrence
        return AttentionMap(spatial=found.reshape(x.shape[0], *x.shape[2:]))

    def _plane(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return x as (N, H, W, C) with masked positions as 0, and its mask (N, H, W)."""
        check_call(self, x, mask)
        h = masking.fill(x, mask, 0.0)
        if self.ndim == 1:
            h, mask = h.unsqueeze(2), None if mask is None else mask.unsqueeze(1)
        half = x.dtype in (torch.float16, torch.bfloat16)  # sums of several times need more digits
        return (h.float() if half else h).movedim(1, 3), mask

    def _step(
        self, h: Tensor, keep: Tensor | None, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return h' and how much each position reads its row (N, H, W, W) and column (N, H, W, H)."""
        value = self.value(h.to(dtype))
        # Scores are not scaled, and an error in them is repeated: autocast would show.
        with reading.exact(h):
            exact = h.to(self.query.weight.dtype)
            query, key = self.query(exact), self.key(exact)
            row = query @ key.transpose(2, 3)  # (N, H, W, W)
            column = torch.einsum("nhwd,ngwd->nhwg", query, key)  # (N, H, W, H)
        size, width = h.shape[1], h.shape[2]
        here = torch.eye(size, dtype=torch.bool, device=h.device).unsqueeze(1)  # (H, 1, H)
        column = column.masked_fill(here, -math.inf)  # it is in the row already
        if keep is not None:  # itself it may always read: there is no other way to stay finite
            self_ = torch.eye(width, dtype=torch.bool, device=h.device)
            row = row.masked_fill(~(keep.unsqueeze(2) | self_), -math.inf)
            column = column.masked_fill(~keep.transpose(1, 2).unsqueeze(1), -math.inf)
        weights = torch.cat([row, column], 3).softmax(3).to(value.dtype)
        row, column = weights[..., :width], weights[..., width:]
        read = row @ value + torch.einsum("nhwg,ngwc->nhwc", column, value)
        read = read if self.gamma is None else read * self.gamma
        return h + read.to(h.dtype), row, column

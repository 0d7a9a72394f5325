"""Relative positions: what a query adds to its scores for how far away a key stands.

Paper    Ramachandran et al., "Stand-Alone Self-Attention in Vision Models", NeurIPS 2019, arXiv 1906.05909
Formula  score += q . (row offset's vector) + q . (column offset's vector), each from a learnt table
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class OffsetTables(nn.ParameterList):
    """For each axis, the vectors of its offsets, (offsets, d)."""

    def no_weight_decay(self) -> set[str]:
        """Return the names of all: they say where things are, and are no weights of a map."""
        return {name for name, _ in self.named_parameters()}


def relative_scores(query: Tensor, tables: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
    """Return the scores that queries give to offsets, (M, heads, Q, K).

    Args:
        query: (M, heads, *sizes, d), the queries on their grid.
        tables: For each axis, the vectors of its offsets, (offsets, d).
        rows: For each axis, which of them a query (first index) has to a key (second), (Q, K) of the axis.
    """
    first = tables[0][rows[0]].to(query.dtype)  # (Q, K, d)
    if len(tables) == 1:
        return torch.einsum("mhxd,xad->mhxa", query, first)
    second = tables[1][rows[1]].to(query.dtype)
    vertical = torch.einsum("mhxyd,xad->mhxya", query, first)
    horizontal = torch.einsum("mhxyd,ybd->mhxyb", query, second)
    both = vertical.unsqueeze(5) + horizontal.unsqueeze(4)  # (M, heads, x, y, a, b)
    return both.flatten(4).flatten(2, 3)

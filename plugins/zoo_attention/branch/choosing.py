"""How branches compete for each channel: a small network over the mean of their sum, and a softmax.

Selective kernels, split-attention and the contextual transformer share it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo_attention import masking
from zoo_attention.normalizing import batch_norm


class Choice(nn.Module):
    """The weight of each branch in each channel: softmax over branches of V relu(BN(W z + b)) + c.

    Args:
        channels: Number of channels of each branch.
        branches: Number of branches; one alone has a sigmoid.
        hidden: Width of the hidden layer, a multiple of `groups`.
        groups: Number of groups of channels that have networks of their own.
        use_bias: Whether there are b and c.
    """

    def __init__(
        self, channels: int, branches: int, hidden: int, *, groups: int = 1, use_bias: bool
    ) -> None:
        super().__init__()
        self.branches = branches
        self.groups = groups
        self.reduce = nn.Conv1d(channels, hidden, 1, groups=groups, bias=use_bias)
        self.norm = nn.BatchNorm1d(hidden)
        self.expand = nn.Conv1d(hidden, branches * channels, 1, groups=groups, bias=use_bias)

    def forward(self, maps: Sequence[Tensor], mask: Tensor | None) -> Tensor:
        """Return the weights, (N, branches, C), from the maps of all branches, (N, C, *spatial) each."""
        total = masking.mean(maps[0], mask)
        for each in maps[1:]:  # the mean of a sum, without the sum
            total = total + masking.mean(each, mask)
        hidden = batch_norm(self.norm, self.reduce(total.unsqueeze(2)).squeeze(2), None)
        scores = self.expand(functional.relu(hidden).unsqueeze(2)).squeeze(2)
        sizes = (self.groups, self.branches, -1)
        scores = scores.unflatten(1, sizes).transpose(1, 2).flatten(2)  # (N, branches, C)
        return torch.sigmoid(scores) if self.branches == 1 else scores.softmax(1)


def weighed_sum(maps: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Return the sum of maps, (N, C, *spatial) each, times their weights, (N, branches, C)."""
    first, *others = (masking.spread(weight, maps[0]) for weight in weights.unbind(1))
    y = maps[0] * first
    for each, weight in zip(maps[1:], others, strict=True):
        y.addcmul_(each, weight)  # no gradient needs what y was
    return y

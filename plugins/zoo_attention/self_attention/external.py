"""External attention: positions read from a small memory that all samples share.

Paper    Guo et al., "Beyond Self-Attention: External Attention Using Two Linear Layers for Visual Tasks",
         TPAMI 2022, arXiv 2105.02358
Formula  a = softmax over positions of M_k (W_q x), (S, P);   b = a / (1e-9 + sum of a over S);   e = M_v b
         y = relu(x + BN(W_o e));   without the block (`use_block=False`): y = e, the paper's algorithm 1
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     the softmax and the batch norm are over real positions
Cost     2 C^2 + 2 C S + 3 C parameters, (2 C^2 + 2 C S) P multiply-adds, S = memory_size; `use_block=False`: C^2 +
         2 C fewer parameters, C^2 P fewer multiply-adds
Follows  the authors' code
Differs  the default is the authors' block (MenghaoGuo/Awesome-Vision-Attentions, read for this): W_o with a batch
         norm, the input added, and a ReLU, around the paper's algorithm. There, M_v starts as the transpose
         of M_k; so does ours. One head, as in the paper's algorithm 1. Layers start as torch's do, not as the
         authors' convolutions, normal of variance 2 / (number of outputs)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import normalizing
from zoo_attention.checks import (
    check_batch_norm,
    check_bool,
    check_call,
    check_construction,
    check_integer,
)
from zoo_attention.self_attention import reading


class ExternalAttention(nn.Module):
    """Let each position read from a memory shared by all samples.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        memory_size: Number of memory units S, at least 1.
        use_block: Whether the output is projected, normalized, added to the input, and cut at 0. In
            training its batch norm needs more than one position in the batch.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    growth = 1

    def __init__(
        self, channels: int, *, ndim: int = 2, memory_size: int = 64, use_block: bool = True
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "memory_size", memory_size)
        check_bool(self, "use_block", use_block)
        self.channels = channels
        self.ndim = ndim
        self.query = nn.Linear(channels, channels)
        self.memory_key = nn.Linear(channels, memory_size, bias=False)
        self.memory_value = nn.Linear(memory_size, channels, bias=False)
        with torch.no_grad():
            self.memory_value.weight.copy_(self.memory_key.weight.T)
        norm = nn.BatchNorm1d if ndim == 1 else nn.BatchNorm2d
        self.merge = nn.Linear(channels, channels, bias=False) if use_block else None
        self.norm = norm(channels) if use_block else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position reads from the memory, by default within the authors' block."""
        weights = self._weights(x, mask)
        weights = weights / (weights.sum(1, keepdim=True) + 1e-9)
        read = self.memory_value(weights.to(x.dtype).transpose(1, 2))  # (N, P, C)
        if self.merge is None or self.norm is None:
            return reading.as_map(read, x)
        check_batch_norm(self, x, mask)
        y = normalizing.batch_norm(self.norm, reading.as_map(self.merge(read), x), mask)
        return functional.relu(x + y.to(x.dtype))

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position, the mean over memory units, summing to 1."""
        found = self._weights(x, mask).mean(1)
        return AttentionMap(spatial=found.reshape(x.shape[0], *x.shape[2:]))

    def _weights(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the softmax over real positions for each memory unit, (N, S, P)."""
        check_call(self, x, mask)
        scores = self.memory_key(self.query(reading.tokens(x, mask)))  # (N, P, S)
        if scores.dtype == torch.float16:  # in which small shares, and 1e-9, are 0
            scores = scores.float()
        return reading.softmax(scores.transpose(1, 2), mask)

"""What the parallel and the sequential layout of polarized self-attention share: options and two gates.

Both have C / 2 channels inside, and no biases. Products of a map with small things are taken first, so
that no map of C / 2 channels is ever made: W (x a) in place of (W x) a.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from zoo_attention import masking
from zoo_attention.checks import check_choice, check_construction
from zoo_attention.self_attention import reading

Expansion = Literal["linear", "norm", "bottleneck"]
Softmax = Literal["query", "product", "value"]
EXPANSIONS = ("linear", "norm", "bottleneck")
SOFTMAXES = ("query", "product", "value")


class Polarized(nn.Module):
    """What both layouts are made of; arguments as theirs."""

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        expansion: Expansion = "linear",
        softmax_of: Softmax = "query",
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_choice(self, "expansion", expansion, EXPANSIONS)
        check_choice(self, "softmax_of", softmax_of, SOFTMAXES)
        self.channels = channels
        self.ndim = ndim
        self.channel_gate = ChannelGate(channels, expansion)
        self.spatial_gate = SpatialGate(channels, softmax_of)


class ChannelGate(nn.Module):
    """A gate for each channel, from one mean of the map, weighed by an attention over positions.

    Args:
        channels: Number of channels C.
        expansion: What leads from C / 2 to C channels: one layer (`"linear"`), with a layer norm behind it
            (`"norm"`), or two layers with a layer norm and a relu between them (`"bottleneck"`).
    """

    def __init__(self, channels: int, expansion: Expansion) -> None:
        super().__init__()
        inner = max(channels // 2, 1)
        self.query = nn.Linear(channels, 1, bias=False)
        self.value = nn.Linear(channels, inner, bias=False)
        if expansion == "bottleneck":
            narrow = max(inner // 4, 4)  # a layer norm over fewer says little
            self.expand = nn.Sequential(
                nn.Linear(inner, narrow),
                nn.LayerNorm(narrow),
                nn.ReLU(),
                nn.Linear(narrow, channels),
            )
        else:
            norm = [nn.LayerNorm(channels)] if expansion == "norm" else []
            self.expand = nn.Sequential(nn.Linear(inner, channels, bias=False), *norm)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the gate, (N, C)."""
        flat = masking.fill(x, mask, 0.0).flatten(2)  # (N, C, P)
        weights = reading.softmax(_each(self.query, flat), mask)  # (N, 1, P)
        mean = torch.bmm(weights.to(flat.dtype), flat.transpose(1, 2)).squeeze(1)  # (N, C)
        return torch.sigmoid(self.expand(self.value(mean)))


class SpatialGate(nn.Module):
    """A gate for each position, from its likeness to an attention over channels.

    Args:
        channels: Number of channels C.
        softmax_of: What the softmax is taken of: the query over channels, as in the paper; its product
            with the values, or the values, over positions, as in the authors' code.
    """

    def __init__(self, channels: int, softmax_of: Softmax) -> None:
        super().__init__()
        inner = max(channels // 2, 1)
        self.softmax_of = softmax_of
        self.query = nn.Linear(channels, inner, bias=False)
        self.value = nn.Linear(channels, inner, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the gate, (N, 1, *spatial)."""
        flat = masking.fill(x, mask, 0.0).flatten(2)  # (N, C, P)
        query = self.query(masking.mean(x, mask)).unsqueeze(1)  # (N, 1, C / 2)
        if self.softmax_of == "value":
            score = torch.bmm(query, reading.softmax(_each(self.value, flat), mask).to(query.dtype))
        else:
            query = query.softmax(2) if self.softmax_of == "query" else query
            weights = torch.matmul(query, self.value.weight.to(query.dtype))  # (N, 1, C)
            score = torch.bmm(weights.to(flat.dtype), flat)
        if self.softmax_of == "product":
            score = reading.softmax(score, mask)
        return torch.sigmoid(score).reshape(x.shape[0], 1, *x.shape[2:])


def _each(layer: nn.Linear, flat: Tensor) -> Tensor:
    """Return what a layer without bias makes of each position of (N, C, P)."""
    # Not by `matmul`, which would copy the map.
    return torch.bmm(layer.weight.expand(flat.shape[0], -1, -1), flat)

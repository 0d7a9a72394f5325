"""Lambda layer: the context becomes a small linear map, by content and by position, applied to each query.

Paper    Bello, "LambdaNetworks: Modeling Long-Range Interactions Without Attention", ICLR 2021,
         arXiv 2102.08602
Formula  lambda_i = sum over m, u of (softmax_m(K_mu) + E_mi,u) V_mu^T, (k, v);   y_i = lambda_i^T q_i in each head,
         with Q, K, V = 1x1 convolutions of x, Q and V after batch norms, v = C / heads, and E, by relative
         position, from a kernel of side r: 0 outside of it
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     softmax and sums are over real positions; the batch norms learn from these
Cost     C w + 2 (num_heads k + v u) + k u r parameters, (C w + k v u + C k + k u v r) P multiply-adds, k =
         key_width, u = depth, v = C // num_heads, w = num_heads k + k u + v u, r = kernel_size^ndim
Follows  the paper; sizes are timm's
Differs  named `lambda_layer`, as a file of the name alone could not be imported. The paper has either all offsets
         of its one map size or a local r; r = 9 and 4 heads are timm's. The paper's ResNets have r = 23, or 7 with
         u = 4, as a public version quotes its table (leaderj1001/LambdaNetworks). `kernel_size=2 S - 1` is all of a
         map of side S. E starts smaller than with unit variance, which gives outputs many times the input. It
         stands in place of a convolution: the input is not added
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking, normalizing
from zoo_attention.checks import (
    check_batch_norm,
    check_call,
    check_construction,
    check_integer,
    check_odd,
)
from zoo_attention.self_attention import reading
from zoo_attention.self_attention.heads import check_heads


class LambdaLayer(nn.Module):
    """Apply to each position a linear map made of all positions' contents and its neighbours' places.

    Args:
        channels: Number of channels C, a multiple of `num_heads`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_heads: Number of queries a position has, at least 1.
        key_width: Width k of queries and keys, at least 1.
        depth: The paper's intra-depth u, at least 1.
        kernel_size: Side r of the neighbourhood whose places count, odd.

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
        num_heads: int = 4,
        key_width: int = 16,
        depth: int = 1,
        kernel_size: int = 9,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "num_heads", num_heads)
        check_integer(self, "key_width", key_width)
        check_integer(self, "depth", depth)
        check_odd(self, "kernel_size", kernel_size)
        check_heads(self, channels, num_heads)
        self.channels, self.ndim, self.num_heads, self.depth = channels, ndim, num_heads, depth
        value_width = channels // num_heads
        self.widths = (num_heads * key_width, key_width * depth, value_width * depth)
        self.project = nn.Linear(channels, sum(self.widths), bias=False)
        self.norm_query = nn.BatchNorm1d(self.widths[0])
        self.norm_value = nn.BatchNorm1d(self.widths[2])
        kernel = torch.randn(key_width, depth, *[kernel_size] * ndim)
        self.embedding = nn.Parameter(kernel * (key_width * depth * kernel_size**ndim) ** -0.5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return each position's queries after the linear map of their context."""
        row, key = self._project(x, mask)
        check_batch_norm(self, x, mask)
        flat = None if mask is None else mask.flatten(1)
        query = normalizing.batch_norm(self.norm_query, row[:, : self.widths[0]], flat)
        value = normalizing.batch_norm(self.norm_value, row[:, -self.widths[2] :], flat)
        value = masking.fill(value, flat, 0.0)
        value = torch.unflatten(value, 1, (-1, self.depth))  # (N, v, u, P)
        query = torch.unflatten(query, 1, (self.num_heads, -1))  # (N, heads, k, P)
        content = torch.einsum("nkup,nvup->nvk", key.to(value.dtype), value)
        conv = functional.conv1d if self.ndim == 1 else functional.conv2d
        plane = torch.unflatten(value.flatten(0, 1), 2, x.shape[2:])  # (N v, u, *spatial)
        place = conv(plane, self.embedding, padding=self.embedding.shape[2] // 2)
        place = torch.unflatten(place, 0, value.shape[:2]).flatten(3)  # (N, v, k, P)
        y = torch.einsum("nhkp,nvkp->nhvp", query, place + content.unsqueeze(3))
        return y.reshape(x.shape).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each position by content, the mean over keys, summing to 1."""
        _, key = self._project(x, mask)
        return AttentionMap(spatial=key.mean((1, 2)).reshape(x.shape[0], *x.shape[2:]))

    def no_weight_decay(self) -> set[str]:
        """Return the vectors of places, which are no weights of a map."""
        return {"embedding"}

    def _project(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return all projections, (N, D, P), and the normalized keys, (N, k, u, P)."""
        check_call(self, x, mask)
        row = self.project(reading.tokens(x, mask)).transpose(1, 2)
        key = reading.softmax(row[:, self.widths[0] : -self.widths[2]], mask)
        return row, torch.unflatten(key, 1, (-1, self.depth))

"""What attentions over positions share: a map as a row of tokens, and who reads whom.

Masked positions are zeros among the tokens, and are not read. Where a sample has no real position, all of
its positions are read: there is no other way to stay finite.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional

from zoo_attention import masking


def tokens(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the positions of a map (N, C, *spatial) in a row, (N, L, C)."""
    return masking.fill(x, mask, 0.0).flatten(2).transpose(1, 2)


def as_map(rows: Tensor, x: Tensor) -> Tensor:
    """Return tokens (N, L, D) as a map (N, D, *spatial) of the size and dtype of x."""
    return torch.unflatten(rows.transpose(1, 2), 2, x.shape[2:]).to(x.dtype)


def real(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return which positions of a map are real, (N, *spatial): those of its mask, or all."""
    if mask is not None:
        return mask
    return torch.ones((x.shape[0], *x.shape[2:]), dtype=torch.bool, device=x.device)


def keys(mask: Tensor | None) -> Tensor | None:
    """Return which positions may be read, (N, 1, L), from a mask (N, *spatial)."""
    if mask is None:
        return None
    flat = mask.flatten(1)
    return (flat | ~flat.any(1, keepdim=True)).unsqueeze(1)


def softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Return the softmax of scores (N, D, L) over the real ones of L positions."""
    keep = keys(mask)
    if keep is None:
        return scores.softmax(2)
    return scores.masked_fill(~keep, -math.inf).softmax(2)


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, scale: float
) -> Tensor:
    """Return what each query reads, (N, L, D), from queries (N, L, d), keys (N, K, d), values (N, K, D).

    Scores are multiplied by `scale`. All three may have heads, (N, heads, L, d), as then has the result.
    Torch's fused attention has no second derivatives, no forward mode and not all of vmap: for these, call
    the model under `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`.
    """
    if query.ndim == 3:
        query, key, value = (t.unsqueeze(1) for t in (query, key, value))
        return attend(query, key, value, mask, scale=scale).squeeze(1)
    narrow, wide = query.shape[3], value.shape[3]
    # torch's attention needs no (L, K) matrix, but only where all widths are equal.
    if narrow < wide:
        query, key = (functional.pad(t, (0, wide - narrow)) for t in (query, key))
    keep = keys(mask)
    keep = None if keep is None else keep.unsqueeze(1)  # (N, 1, 1, K)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=keep, scale=scale)


def received(
    query: Tensor, key: Tensor, mask: Tensor | None, *, scale: float, queries: Tensor | None = None
) -> Tensor:
    """Return how much each key is read, (N, K): the mean over heads and real queries, summing to 1.

    Args:
        query: (N, L, d) or, with heads, (N, heads, L, d).
        key: (N, K, d) or (N, heads, K, d).
        mask: (N, *spatial) of the keys.
        scale: What the scores are multiplied by.
        queries: (N, *spatial) of the queries, where it is not that of the keys.
    """
    scores = (query @ key.transpose(-1, -2)).mul(scale)  # (N, heads, L, K)
    keep = keys(mask)
    if keep is not None:
        scores = scores.masked_fill(~(keep if scores.ndim == 3 else keep.unsqueeze(1)), -math.inf)
    weights = scores.softmax(-1)
    if weights.ndim == 4:
        weights = weights.mean(1)
    return mean_of_rows(weights, mask if queries is None else queries)


def exact(x: Tensor) -> AbstractContextManager[object]:
    """Return what keeps autocast from products of maps like x; the meta device knows none."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def mean_of_rows(weights: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean of weights (N, L, K) over the real ones of L queries, (N, K)."""
    keep = keys(mask)
    if keep is None:
        return weights.mean(1)
    share = keep.to(weights.dtype)  # (N, 1, L)
    return torch.matmul(share / share.sum(2, keepdim=True), weights).squeeze(1)


def shares(found: Tensor) -> Tensor:
    """Return weights (N, *spatial) divided by their sum; equal shares where all are 0.

    So maps of a sample without real positions sum to 1 as well: all are read, as everywhere here.
    """
    total = found.flatten(1).sum(1)[(..., *[None] * (found.ndim - 1))]
    least = torch.finfo(found.dtype).tiny
    return torch.where(total > 0, found / total.clamp(min=least), 1 / math.prod(found.shape[1:]))


def unit(x: Tensor, axis: int) -> Tensor:
    """Return x scaled to length 1 along an axis, zeros as they are.

    float16 is too narrow for it: squares overflow, and the least length to divide by is 0.
    """
    if x.dtype != torch.float16:
        return functional.normalize(x, dim=axis)
    least = torch.finfo(x.dtype).tiny  # so that no gradient overflows
    return functional.normalize(x.float(), dim=axis, eps=least).to(x.dtype)

"""Non-local block: each position adds what it reads from all positions, by embedded Gaussians.

Paper    Wang et al., "Non-local Neural Networks", CVPR 2018, arXiv 1711.07971
Formula  y_i = sum over j of softmax_j(theta(x_i) . phi(x_j)) g(x_j);   z = x + BN(W y)
Shapes   x (N, C, *spatial) -> z (N, C, *spatial), same dtype and device
Mask     masked positions are not read; the batch norm learns from real positions
Cost     4 C h + 3 h + 3 C parameters, 4 C h P + 2 h P^2 multiply-adds, h = max(C // reduction, 1)
Follows  the paper
Differs  theta, phi, g and W have biases, as convolutions have. The batch norm starts with weight 0, so the
         block starts as identity (section 3.3). Of the paper's four pairwise functions this is its default; the
         paper finds them to perform alike. `use_scale=True` divides the scores by sqrt(h), and
         `use_subsampling=True` halves the map before phi and g are read (section 3.3): both are on in the
         authors' code (facebookresearch/video-nonlocal-net, read for this)
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention import normalizing
from zoo_attention.checks import (
    check_batch_norm,
    check_bool,
    check_call,
    check_construction,
    check_integer,
)
from zoo_attention.self_attention import halving, reading


class NonLocal(nn.Module):
    """Add to each position what it reads from all positions.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times narrower theta, phi and g are than the map, at least 1.
        use_scale: Whether scores are divided by the square root of that width.
        use_subsampling: Whether a max pooling halves the map that is read.
        use_batch_norm: Whether the output passes a batch norm. In training it needs more than one
            position in the batch. Without it, W starts at 0.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    growth = 2

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        reduction: int = 2,
        use_scale: bool = False,
        use_subsampling: bool = False,
        use_batch_norm: bool = True,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        check_bool(self, "use_scale", use_scale)
        check_bool(self, "use_subsampling", use_subsampling)
        check_bool(self, "use_batch_norm", use_batch_norm)
        self.channels, self.ndim = channels, ndim
        self.use_subsampling = use_subsampling
        width = max(channels // reduction, 1)
        self.scale = width**-0.5 if use_scale else 1.0
        self.theta = nn.Linear(channels, width)
        self.phi = nn.Linear(channels, width)
        self.g = nn.Linear(channels, width)
        self.merge = nn.Linear(width, channels)
        norm = nn.BatchNorm1d if ndim == 1 else nn.BatchNorm2d
        self.norm = norm(channels) if use_batch_norm else None
        last = self.merge if self.norm is None else self.norm
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with what each position has read added."""
        check_call(self, x, mask)
        row = reading.tokens(x, mask)  # (N, P, C)
        query, key, value = self.theta(row), self.phi(row), self.g(row)  # (N, P, h)
        if self.use_subsampling:
            key, kept = halving.halved(key, x, mask)
            value, _ = halving.halved(value, x, mask)
        else:
            kept = mask
        y = reading.attend(query, key, value, kept, scale=self.scale)
        y = reading.as_map(self.merge(y), x)
        if self.norm is not None:
            check_batch_norm(self, x, mask)
            y = normalizing.batch_norm(self.norm, y, mask).to(x.dtype)
        return x + y

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is read: the mean over real queries, summing to 1.

        With subsampling, the positions of a pooled window share its weight equally.
        """
        check_call(self, x, mask)
        row = reading.tokens(x, mask)
        query, key, kept = self.theta(row), self.phi(row), mask
        if self.use_subsampling:
            key, kept = halving.halved(key, x, mask)
        found = reading.received(query, key, kept, scale=self.scale, queries=mask)
        if self.use_subsampling:
            return AttentionMap(spatial=halving.unhalved(found, x, mask))
        return AttentionMap(spatial=found.reshape(x.shape[0], *x.shape[2:]))

"""Double attention: gather features of the whole map, then let each position pick from them.

Paper    Chen et al., "A^2-Nets: Double Attention Networks", NeurIPS 2018, arXiv 1810.11579
Formula  G = A softmax(B)^T, the softmax over positions;   Z = G softmax(V), the softmax over the n features;
         y = x + W_Z Z, with A (m, P), B (n, P), V (n, P) = 1x1 convolutions of x
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     the softmax over positions is over real ones
Cost     4 C m + 3 m + C parameters, (4 C m + 2 m^2) P multiply-adds, m = max(C // reduction, 1). G is made first,
         so that nothing grows with P^2
Follows  the paper
Differs  both softmaxes are within one sample; a common copy takes one over the batch. Convolutions have biases.
         A quarter of C for m and n is that of the paper's experiments, as a public reading note has it
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo import AttentionMap
from zoo_attention.checks import check_call, check_construction, check_integer
from zoo_attention.self_attention import reading


class DoubleAttention(nn.Module):
    """Gather features of the whole map, and add to each position a mix of them.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        reduction: How many times fewer features there are than channels, at least 1.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    growth = 1

    def __init__(self, channels: int, *, ndim: int = 2, reduction: int = 4) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "reduction", reduction)
        self.channels = channels
        self.ndim = ndim
        width = max(channels // reduction, 1)
        self.feature = nn.Linear(channels, width)  # the paper's A
        self.gather = nn.Linear(channels, width)  # B
        self.distribute = nn.Linear(channels, width)  # V
        self.merge = nn.Linear(width, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with what each position picks from the gathered features added."""
        check_call(self, x, mask)
        row = reading.tokens(x, mask)  # (N, P, C)
        gathered = self._gathering(row, mask).to(row.dtype) @ self.feature(row)  # (N, n, m)
        picked = self.distribute(row).softmax(2).to(row.dtype) @ gathered  # (N, P, m)
        return x + reading.as_map(self.merge(picked), x)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return how much each position is gathered, the mean over features, summing to 1."""
        check_call(self, x, mask)
        found = self._gathering(reading.tokens(x, mask), mask).mean(1)
        return AttentionMap(spatial=found.reshape(x.shape[0], *x.shape[2:]))

    def _gathering(self, row: Tensor, mask: Tensor | None) -> Tensor:
        """Return the weights of positions for each feature, (N, n, P)."""
        return reading.softmax(self.gather(row).transpose(1, 2), mask)

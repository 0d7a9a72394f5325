"""ParNet's block: two convolutions, and beside them a skip connection with squeeze-and-excitation.

Paper    Goyal et al., "Non-deep Networks", NeurIPS 2022, arXiv 2110.07641
Formula  z = BN(x);   s = z * sigmoid(W mean of z over space), the skip-squeeze-excitation
         y = silu(BN(conv3x3(x)) + BN(conv1x1(x)) + s)
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; conv3 and conv1 for ndim 1
Mask     the mean is over real positions, which alone the norms learn from; masked positions are zeros
         to the convolution
Cost     (k + 2) C^2 + 6 C parameters, (k + 1) C^2 P + C^2 + C P multiply-adds, k = 3^ndim
Follows  the paper; where it is silent, the authors' code
Differs  of the paper's blocks this is RepVGG-SSE, which keeps size and width; it is not folded into one
         convolution after training. W has no bias, as in the authors' code (imankgoyal/NonDeepNetworks).
         It is a block of its own: y is no gated x
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking
from zoo_attention.checks import check_batch_norm, check_call, check_construction
from zoo_attention.normalizing import batch_norm


class ParNetSkipSqueezeExcite(nn.Module):
    """Convolve a map at two sizes, and add the map with its channels weighed.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        self.channels = channels
        self.ndim = ndim
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        norm = nn.BatchNorm1d if ndim == 1 else nn.BatchNorm2d
        self.wide = conv(channels, channels, 3, padding=1, bias=False)
        self.wide_norm = norm(channels)
        self.narrow = conv(channels, channels, 1, bias=False)
        self.narrow_norm = norm(channels)
        self.skip_norm = norm(channels)
        self.excite = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the sum of the three branches, through a SiLU."""
        z, gate = self._skip(x, mask)
        clean = masking.fill(x, mask, 0.0)
        y = batch_norm(self.wide_norm, self.wide(clean), mask)
        y = y + batch_norm(self.narrow_norm, self.narrow(clean), mask)
        return functional.silu(y + z * masking.spread(gate, z)).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel in the skip connection, between 0 and 1."""
        return AttentionMap(channel=self._skip(x, mask)[1])

    def _skip(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the normalised map and its gate, (N, C)."""
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        z = batch_norm(self.skip_norm, x, mask)
        return z, torch.sigmoid(self.excite(masking.mean(z, mask)))

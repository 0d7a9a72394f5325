"""Maximum activations of convolutions: the maxima over positions, as a vector of length 1.

Paper    Tolias et al., "Particular object retrieval with integral max-pooling of CNN activations",
         ICLR 2016, arXiv 1511.05879
Formula  y = m / ||m||_2, with m = maximum of x over space
Shapes   x (N, C, *spatial) -> y (N, C), same dtype and device
Mask     over real positions; a sample without any gives zeros
Cost     no parameters, no multiply-adds. C P comparisons
Follows  the paper
Differs  the paper compares the maxima by their cosine; here they have length 1 so that a product is the cosine.
         Without that it is the head `max`. No whitening
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction


class MaximumActivations(nn.Module):
    """Pool a map to its maxima over positions, divided by their length.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.

    Attributes:
        out_features: Width of the vector, C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        self.channels = channels
        self.ndim = ndim
        self.out_features = channels

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        maxima = masking.widen(masking.amax(x, mask))
        # The least length to divide by: gradients of a map of zeros stay small.
        return functional.normalize(maxima, dim=1, eps=1e-6).to(x.dtype)

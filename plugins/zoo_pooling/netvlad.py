"""NetVLAD: for each of K learned centres, how the vectors near it differ from it.

Paper    Arandjelovic et al., "NetVLAD: CNN architecture for weakly supervised place recognition", CVPR 2016,
         arXiv 1511.07247
Formula  x_i of length 1;   a_k(x_i) = softmax over k of w_k . x_i + b_k;   V_k = sum over i of a_k(x_i) (x_i - c_k)
         y = [V_1 / ||V_1||; ...; V_K / ||V_K||], divided by its length
Shapes   x (N, C, *spatial) -> y (N, K C), same dtype and device
Mask     masked positions belong to no centre; a sample without any real one gives zeros
Cost     2 K C + K parameters, 2 K C P + K C multiply-adds, K = num_centres
Follows  the paper
Differs  centres start at random with length 1: the paper starts from clusters of the data (`set_centres`). There
         w = 2 alpha c and b = -alpha ||c||^2, after which all three are learned apart; a common copy takes
         ||c|| instead of its square. No PCA
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import InvalidValue
from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_construction, check_integer, check_positive


class NetVLAD(nn.Module):
    """Pool a map to the residuals of its vectors to learned centres.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        num_centres: Number of centres K, at least 1.
        alpha: How firmly a vector starts out in its nearest centre, above 0.

    Attributes:
        out_features: Width of the vector, K C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self, channels: int, *, ndim: int = 2, num_centres: int = 64, alpha: float = 100.0
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "num_centres", num_centres)
        check_positive(self, "alpha", alpha)
        self.channels = channels
        self.ndim = ndim
        self.alpha = alpha
        self.out_features = num_centres * channels
        self.centres = nn.Parameter(torch.empty(num_centres, channels))
        self.assign = nn.Linear(channels, num_centres)
        self.set_centres(functional.normalize(torch.randn(num_centres, channels), dim=1))

    @torch.no_grad()
    def set_centres(self, centres: Tensor) -> None:
        """Start from these centres, e.g. clusters of vectors of length 1 from the data.

        Args:
            centres: (K, C).

        Raises:
            InvalidValue: They are of another shape.
        """
        if centres.shape != self.centres.shape:
            raise InvalidValue(
                f"NetVLAD: the shape of centres is {tuple(centres.shape)}, but must be "
                f"{tuple(self.centres.shape)}, number of centres and channels."
            )
        self.centres.copy_(centres)
        self.assign.weight.copy_(2 * self.alpha * centres)
        self.assign.bias.copy_(-self.alpha * centres.square().sum(1))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample: centre by centre, C numbers each."""
        check_call(self, x, mask)
        # In 16 bits an error of scores, which alpha makes large, would move vectors between centres.
        with torch.autocast(x.device.type, enabled=False):
            centres, weight, bias = map(
                masking.widen, (self.centres, self.assign.weight, self.assign.bias)
            )
            # Divided before it is permuted: after, torch.export would guard against some lengths.
            unit = masking.fill(x, mask, 0.0).to(centres.dtype)
            # By 1e-6 at least: gradients of a map of zeros stay small.
            unit = unit / torch.linalg.vector_norm(unit, dim=1, keepdim=True).clamp(min=1e-6)
            vectors = masking.tokens(unit)  # (N, P, C)
            weights = functional.linear(vectors, weight, bias).softmax(2)  # (N, P, K)
            real = masking.flat(mask)
            if real is not None:
                weights = torch.where(real.unsqueeze(2), weights, 0.0)
            near = weights.sum(1).unsqueeze(2)  # (N, K, 1)
            residuals = weights.transpose(1, 2) @ vectors - near * centres  # (N, K, C)
        y = functional.normalize(functional.normalize(residuals, dim=2).flatten(1), dim=1)
        return masking.zero_empty(y, mask).to(x.dtype)

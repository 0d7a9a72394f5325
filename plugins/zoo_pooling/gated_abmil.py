"""Gated attention-based multiple-instance pooling: a gate beside the network that weighs positions.

Paper    Ilse et al., "Attention-based Deep Multiple Instance Learning", ICML 2018, arXiv 1802.04712
Formula  y = sum over positions k of a_k x_k, with a = softmax over positions of w^T (tanh(V x_k) * sigmoid(U x_k))
Shapes   x (N, C, *spatial) -> y (N, C), same dtype and device
Mask     masked positions have no weight; a sample without any real one gives zeros
Cost     2 C D + D parameters, P (2 C D + 2 D + C) multiply-adds, D = hidden_channels; `use_bias=True`: 2 D more
         parameters
Follows  the paper
Differs  each sample is a bag of its positions, so that a batch holds several bags. D is that of the authors' code
         (AMLab-Amsterdam/AttentionDeepMIL). No biases, as in the formula; that code has them in all layers:
         `use_bias`. The one of the last layer changes nothing, for the softmax takes it out, and is left out
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_bool, check_call, check_construction, check_integer


class GatedAttentionMILPool(nn.Module):
    """Pool a map to its mean over positions, weighted by a small network with a gate.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        hidden_channels: Width D of the network, at least 1.
        use_bias: Whether its hidden layers have biases.

    Attributes:
        out_features: Width of the vector, C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self, channels: int, *, ndim: int = 2, hidden_channels: int = 128, use_bias: bool = False
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "hidden_channels", hidden_channels)
        check_bool(self, "use_bias", use_bias)
        self.channels = channels
        self.ndim = ndim
        self.out_features = channels
        self.project = nn.Linear(channels, hidden_channels, bias=use_bias)
        self.gate = nn.Linear(channels, hidden_channels, bias=use_bias)
        self.score = nn.Linear(hidden_channels, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample."""
        check_call(self, x, mask)
        real = masking.fill(x, mask, 0.0)
        vectors = real.movedim(1, -1)  # (N, *spatial, C)
        hidden = torch.tanh(self.project(vectors)) * torch.sigmoid(self.gate(vectors))
        weights = masking.softmax(self.score(hidden).movedim(-1, 1), mask)  # (N, 1, *spatial)
        return (weights * real).sum(masking.axes(x)).to(x.dtype)

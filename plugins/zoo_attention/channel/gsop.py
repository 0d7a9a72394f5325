"""Global second-order pooling: weigh channels by how they vary together over the map.

Paper    Gao et al., "Global Second-Order Pooling Convolutional Networks", CVPR 2019, arXiv 1811.12006
Formula  u = relu(BN(A x + a)), c channels;   K = covariance of u over the P positions, divided by P
         v_i = B_i K_i + b_i, 4 numbers from each row i of BN(K);   y = x * sigmoid(D lrelu(v) + d)
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device
Mask     covariance over real positions; the norms learn from real positions and samples that have some
Cost     5 C c + C + 4 c^2 + 9 c parameters, P c (C + c) + 4 c^2 + 4 C c + C P multiply-adds, c = min(size, C)
Follows  the paper; where it is silent, the authors' code
Differs  c is 128 where C is larger, as in the authors' networks, and never more than C. The authors' repository
         (ZilinGao) gives what the paper leaves open: norm and relu on u, 4 numbers a row, the norm of the rows;
         it has stride 2 in A in its first stage, left out here. The paper speaks of a non-linearity after
         each convolution; that code has none after B: `use_activation=False`, and one of its own, a ReLU, before
         A: `use_input_relu=True`; summaries of the paper begin with A. Norms of one sample's single
         position, which has no variance, use their running statistics
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap
from zoo_attention import masking, normalizing, weighing
from zoo_attention.checks import (
    check_batch_norm,
    check_bool,
    check_call,
    check_construction,
    check_integer,
)


class SecondOrderPooling(nn.Module):
    """Weigh the channels of a map by their covariances.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        size: Number of channels that covariances are taken of, at least 1; C where that is less.
        use_activation: Whether a leaky ReLU of slope 0.1 follows the convolution over rows.
        use_input_relu: Whether a ReLU precedes all.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range; from `forward` in training, there
            is one position in all.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        size: int = 128,
        use_activation: bool = True,
        use_input_relu: bool = False,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "size", size)
        check_bool(self, "use_activation", use_activation)
        check_bool(self, "use_input_relu", use_input_relu)
        self.channels = channels
        self.ndim = ndim
        self.use_activation = use_activation
        self.use_input_relu = use_input_relu
        size = min(size, channels)
        self.reduce = nn.Conv1d(channels, size, 1)
        self.norm = nn.BatchNorm1d(size)
        self.row_norm = nn.BatchNorm1d(size)
        self.rows = nn.Conv1d(size, 4 * size, size, groups=size)
        self.expand = nn.Linear(4 * size, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its channels weighed."""
        return weighing.weigh(x, self._gate(x, mask))

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel, between 0 and 1."""
        return AttentionMap(channel=self._gate(x, mask))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_call(self, x, mask)
        check_batch_norm(self, x, mask)
        flat = None if mask is None else mask.flatten(1)  # (N, P)
        clean = masking.fill(x.flatten(2), flat, 0.0)
        u = self.reduce(functional.relu(clean) if self.use_input_relu else clean)  # (N, c, P)
        u = functional.relu(normalizing.batch_norm(self.norm, u, flat))
        some = None if flat is None else flat.any(1, keepdim=True).expand(-1, u.shape[1])
        rows = normalizing.batch_norm(self.row_norm, _covariance(u, flat), some)  # (N, c, c)
        v = self.rows(rows).squeeze(2)  # (N, 4 c)
        if self.use_activation:
            v = functional.leaky_relu(v, 0.1)
        return torch.sigmoid(self.expand(v))


def _covariance(u: Tensor, mask: Tensor | None) -> Tensor:
    """Return the covariance over real positions of u (N, c, P), (N, c, c)."""
    deviation = masking.fill(u - masking.mean(u, mask).unsqueeze(2), mask, 0.0)
    number = masking.count(u, mask)
    if isinstance(number, Tensor):
        number = number.clamp(min=1).unsqueeze(2)  # (N, 1, 1)
    return deviation @ (deviation / number).transpose(1, 2)

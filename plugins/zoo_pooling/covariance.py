"""Covariance pooling (iSQRT-COV): the square root of the covariance of the channels, by Newton's method.

Paper    Li et al., "Towards Faster Training of Global Covariance Pooling Networks by Iterative Matrix Square Root
         Normalization", CVPR 2018, arXiv 1712.01034
Formula  u = relu(BN(W x)), d channels;   S = covariance of u over the P positions, divided by P;   A = S / tr S
         Y_0 = A, Z_0 = I;   Y_k+1 = Y_k (3 I - Z_k Y_k) / 2, Z_k+1 = (3 I - Z_k Y_k) Z_k / 2;   steps of it
         y = the upper triangle of sqrt(tr S) Y_steps, row by row
Shapes   x (N, C, *spatial) -> y (N, d (d + 1) / 2), same dtype and device
Mask     covariance over real positions, from which the norm learns; a sample without any gives zeros
Cost     C d + 2 d parameters, C d P + d^2 P + (3 num_steps - 3) d^3 + d^2 multiply-adds, d = min(size, C)
Follows  the paper; where it is silent, the authors' code
Differs  d is never more than C. 256 channels, 5 steps, the norm and relu are those of the authors' code
         (jiangtaoxie/fast-MPN-COV), which has no W where C is 256 already. eps is added to the trace: a map that is
         the same everywhere gives zeros. Maps of fewer than d positions have a covariance without full rank, of
         which the iteration still finds the root. One position in all is normed by the running statistics
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo_pooling import masking, normalizing
from zoo_pooling.checks import check_call, check_construction, check_integer, check_positive


class CovariancePool(nn.Module):
    """Pool a map to the square root of the covariance matrix of its channels.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        size: Number of channels d that covariances are taken of, at least 1; C where that is less.
        num_steps: Number of steps of the iteration, at least 2.
        eps: What is added to the trace, above 0.

    Attributes:
        out_features: Width of the vector, d (d + 1) / 2.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        size: int = 256,
        num_steps: int = 5,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_integer(self, "size", size)
        check_integer(self, "num_steps", num_steps, least=2)
        check_positive(self, "eps", eps)
        self.channels = channels
        self.ndim = ndim
        self.num_steps = num_steps
        self.eps = eps
        width = min(size, channels)
        self.out_features = width * (width + 1) // 2
        self.reduce = nn.Linear(channels, width, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector a sample: the variances and covariances of channel 1, then those of 2 with the rest."""
        check_call(self, x, mask)
        real = masking.flat(mask)  # (N, P)
        u = self.reduce(masking.tokens(masking.fill(x, mask, 0.0)))  # (N, P, d)
        u = functional.relu(normalizing.batch_norm(self.norm, u, real))
        u = masking.widen(u.transpose(1, 2))  # (N, d, P)
        with torch.autocast(x.device.type, enabled=False):  # small differences of large products
            deviation = masking.fill(u - masking.mean(u, real).unsqueeze(2), real, 0.0)
            number = masking.count(u, real)[..., None]  # (N, 1, 1) or (1)
            root = self._root(deviation @ (deviation / number).transpose(1, 2))
        rows, columns = torch.triu_indices(*root.shape[1:], device=x.device)
        return masking.zero_empty(root[:, rows, columns], mask).to(x.dtype)

    def _root(self, s: Tensor) -> Tensor:
        """Return the square root of covariance matrices (N, d, d)."""
        trace = s.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] + self.eps
        three = 3 * torch.eye(s.shape[1], dtype=s.dtype, device=s.device)
        y = s / trace
        z = (three - y) / 2
        y = y @ z
        for step in range(2, self.num_steps + 1):
            t = (three - z @ y) / 2
            y = y @ t
            z = t @ z if step < self.num_steps else z
        return y * trace.sqrt()

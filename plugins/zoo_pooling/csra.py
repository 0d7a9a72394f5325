"""Class-specific residual attention: each class pools the positions that speak for it, beside the mean.

Paper    Zhu and Wu, "Residual Attention: A Simple but Effective Method for Multi-Label Recognition", ICCV 2021,
         arXiv 2108.02456
Formula  s_ki = w_k . x_i / ||w_k||;   y_k = mean over positions i of s_ki + lambda sum of a_ki s_ki,
         a_k = softmax over positions of T s_k (T infinite: the maximum);   summed over heads, each with its T and w
Shapes   x (N, C, *spatial) -> y (N, num_classes) with its classifier w, else the means (N, C); dtype and device of x
Mask     over real positions; a sample without any gives zeros
Cost     no parameters, no multiply-adds
Follows  the paper; where it is silent, the authors' code
Differs  lambda, the temperatures of 1, 2, 4, 6 and 8 heads, and that w has no bias are those of the authors' code
         (Kevinz-code/CSRA), whose networks use lambda 0.1 with one head on VOC, 0.5 with 6 on COCO. w belongs to
         the classifier: `make_classifier`
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo_pooling import masking
from zoo_pooling.checks import check_call, check_choice, check_construction, check_positive

# What a softmax multiplies scores by; of several heads the last takes the maximum.
_TEMPERATURES = {
    1: (1.0,),
    2: (1.0,),
    4: (1.0, 2.0, 4.0),
    6: (1.0, 2.0, 3.0, 4.0, 5.0),
    8: (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0),
}


class ClassResidualAttention(nn.Module):
    """Score the classes at each position, and pool the scores of each class by themselves.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        num_heads: Number of heads, each with a classifier and a temperature: 1, 2, 4, 6 or 8.
        attention_weight: The paper's lambda, how much attention counts beside the mean, above 0.

    Attributes:
        out_features: Width of the vector that comes out without a classifier, C.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range.
    """

    def __init__(
        self, channels: int, *, ndim: int = 2, num_heads: int = 1, attention_weight: float = 0.1
    ) -> None:
        super().__init__()
        check_construction(self, channels, ndim)
        check_choice(self, "num_heads", num_heads, tuple(_TEMPERATURES))
        check_positive(self, "attention_weight", attention_weight)
        self.channels = channels
        self.ndim = ndim
        self.num_heads = num_heads
        self.attention_weight = attention_weight
        self.out_features = channels

    def make_classifier(self, num_classes: int) -> nn.Linear:
        """Return the vectors w of all heads, (num_heads num_classes, C), head by head."""
        return nn.Linear(self.channels, self.num_heads * num_classes, bias=False)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, *, classifier: nn.Linear | None = None
    ) -> Tensor:
        """Return one score a class; without a classifier the mean over positions."""
        check_call(self, x, mask)
        if classifier is None:
            return masking.mean(x, mask)
        scores = masking.widen(classifier(masking.fill(x, mask, 0.0).movedim(1, -1)))
        length = torch.linalg.vector_norm(masking.widen(classifier.weight), dim=1)
        scores = (scores / length.clamp(min=1e-12)).movedim(-1, 1)  # (N, heads K, *spatial)
        heads = scores.chunk(self.num_heads, 1)
        attended = sum(
            (masking.softmax(temperature * head, mask) * head).sum(masking.axes(x))
            for temperature, head in zip(_TEMPERATURES[self.num_heads], heads, strict=False)
        )
        if self.num_heads > 1:
            attended = attended + masking.amax(heads[-1], mask)
        base = torch.unflatten(masking.mean(scores, mask), 1, (self.num_heads, -1)).sum(1)  # (N, K)
        return masking.zero_empty(base + self.attention_weight * attended, mask).to(x.dtype)

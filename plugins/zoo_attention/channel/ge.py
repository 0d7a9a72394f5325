"""Gather-excite: weigh each value by what its channel says in the wider surroundings.

Paper    Hu et al., "Gather-Excite: Exploiting Feature Context in CNNs", NeurIPS 2018, arXiv 1810.12348
Formula  y = x * sigmoid(E(G(x))), each of the positions of G standing for e of x along each axis
         G gathers with extent e: the mean of windows of 2 e - 1 at stride e, or of the whole map; E(z) = z
         "gather": G is log2(e) depth-wise 3x3 convolutions of stride 2, each with a batch norm, ReLU between;
         for the whole map one depth-wise convolution as large as the map, and a batch norm
         "both": this, ReLU, and E(z) = W2 relu(W1 z) at each position
Shapes   x (N, C, *spatial) -> y (N, C, *spatial), same dtype and device; conv3 for ndim 1
Mask     means over real positions; masked positions are zeros to convolutions; one as large as the map takes none
Cost     no parameters, C P multiply-adds; `parameters='gather'`: (kernel_size^ndim + 2) C parameters, C P more
         multiply-adds; `parameters='both'`: (kernel_size^ndim + 2) C + 2 C h parameters, C P + 2 C h more
         multiply-adds, h = max(C // reduction, min_hidden); `extent=2, parameters='gather'`: (3^ndim + 2) C
         parameters, 3^ndim C ceil(H / 2) ceil(W / 2) more multiply-adds
Follows  the paper; where it is silent, the authors' code
Differs  a gathered position stands for just e of x: at sizes that e does not divide, usual rounding is another.
         The whole map's kernel has a size of its own and is stretched to the map, its sum kept. Layers of
         "gather" and "both" are those of the authors' repository. Hidden width is at least 8; `min_hidden=1` is
         the paper's. No biases in E; `use_bias=True` is the authors' networks
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import AttentionMap, InvalidValue
from zoo_attention import checks, weighing
from zoo_attention.channel import gathering


class GatherExcite(nn.Module):
    """Weigh the values of a map by gathered values of their channels.

    Args:
        channels: Number of channels C, at least 1.
        ndim: Number of spatial dimensions, 1 or 2.
        extent: How wide values are gathered, a power of 2 from 2; None for the whole map.
        parameters: What has parameters: `"none"`, `"gather"`, or `"both"` gather and excite.
        reduction: How many times narrower the hidden layer of `"both"` is than the map, at least 1.
        min_hidden: Width that this hidden layer has at least, from 1.
        use_bias: Whether its layers have biases.
        kernel_size: Side of the kernel that is stretched to the whole map, at least 1.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range; from `forward`, a mask is given
            to a convolution of the whole map.
    """

    def __init__(
        self,
        channels: int,
        *,
        ndim: int = 2,
        extent: int | None = None,
        parameters: Literal["none", "gather", "both"] = "none",
        reduction: int = 16,
        min_hidden: int = 8,
        use_bias: bool = False,
        kernel_size: int = 7,
    ) -> None:
        super().__init__()
        self._check(channels, ndim, extent, parameters)
        checks.check_integer(self, "reduction", reduction)
        checks.check_integer(self, "min_hidden", min_hidden)
        checks.check_bool(self, "use_bias", use_bias)
        checks.check_integer(self, "kernel_size", kernel_size)
        self.channels, self.ndim, self.extent = channels, ndim, extent
        self.gather: nn.Module
        if parameters == "none":
            self.gather = gathering.MeanGather(ndim, extent)
        elif extent is None:
            self.gather = gathering.WholeGather(channels, ndim, kernel_size)
        else:
            self.gather = gathering.StridedGather(channels, ndim, extent)
        width = max(channels // reduction, min_hidden)
        conv = nn.Conv1d if ndim == 1 else nn.Conv2d
        has_layers = parameters == "both"
        self.reduce = conv(channels, width, 1, bias=use_bias) if has_layers else None
        self.expand = conv(width, channels, 1, bias=use_bias) if has_layers else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x with its values weighed."""
        if self.extent is None and isinstance(self.gather, gathering.MeanGather):
            checks.check_call(self, x, mask)
            return weighing.weigh_by_means(x, mask, torch.sigmoid)
        return x * self._gate(x, mask).to(x.dtype)

    def attention_map(self, x: Tensor, mask: Tensor | None = None) -> AttentionMap:
        """Return the weight of each channel, or with an extent of each position, between 0 and 1."""
        gate = self._gate(x, mask)
        if self.extent is None:
            return AttentionMap(channel=gate.flatten(1))
        return AttentionMap(spatial=gate.mean(1))

    def _gate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        checks.check_call(self, x, mask)
        z = self.gather(x, mask)
        if self.reduce is not None and self.expand is not None:
            z = self.expand(functional.relu(self.reduce(functional.relu(z))))
        gate = torch.sigmoid(z)
        if self.extent is None:
            return gate  # (N, C, 1, ...)
        return gathering.repeat(gate, self.extent, x)

    def _check(
        self, channels: object, ndim: object, extent: int | None, parameters: object
    ) -> None:
        checks.check_construction(self, channels, ndim)
        checks.check_choice(self, "parameters", parameters, ("none", "gather", "both"))
        if extent is not None:
            checks.check_integer(self, "extent", extent, least=2)
            if extent & (extent - 1):
                raise InvalidValue(f"GatherExcite: extent is {extent}, but must be a power of 2.")

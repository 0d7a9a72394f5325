"""Text-CNN: parallel convolutions of several widths over word embeddings.

Paper    Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014, arXiv 1408.5882
Formula  c_k = relu(w_k * E(x) + b_k) for each width k, concatenated;   the paper's head is max over time: `max`
Shapes   x (N, L) token numbers, 0 is padding -> (N, len(kernel_sizes) maps, L)
Cost     in_channels embedding_dim + maps embedding_dim sum(kernel_sizes) parameters, and biases
Differs  the map keeps the text's length (zeros before and behind it), so that texts shorter than a window work
         and attentions see every position; the paper's has L - k + 1. Embeddings are learnt (its CNN-rand)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import InvalidValue, Slot

from .layers import OpenSlot, zero_padding


class TextCNN(nn.Module):
    """One stage of parallel convolutions over learnt embeddings.

    Padding is told by the mask alone: without one, all positions count, those of token 0 as zeros.

    Args:
        in_channels: How many token numbers there are: the vocabulary, padding (0) and unknown (1).
        embedding_dim: Width of the embeddings.
        maps: Channels of each width's convolution.
        kernel_sizes: Widths of the windows, in tokens. An even window looks one further back than ahead.

    Raises:
        InvalidValue: An option is out of its range.
    """

    input_kinds = ("text",)
    ndim = 1

    def __init__(
        self,
        in_channels: int,
        *,
        embedding_dim: int = 300,
        maps: int = 100,
        kernel_sizes: Sequence[int] = (3, 4, 5),
    ) -> None:
        super().__init__()
        _check(in_channels, embedding_dim, maps, kernel_sizes)
        self.embedding_dim, self.maps = embedding_dim, maps
        self.num_features = maps * len(kernel_sizes)
        self.embedding = nn.Embedding(in_channels, embedding_dim, padding_idx=0)
        nn.init.uniform_(self.embedding.weight, -0.25, 0.25)
        with torch.no_grad():
            self.embedding.weight[0].zero_()
        self.windows = nn.ModuleList(Window(embedding_dim, maps, size) for size in kernel_sizes)
        self.after = OpenSlot()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map token numbers (N, L) to (N, num_features, L)."""
        embedded = zero_padding(self.embedding(x).transpose(1, 2), mask)  # (N, embedding_dim, L)
        joined = torch.cat([window(embedded, mask) for window in self.windows], 1)
        features: Tensor = self.after(joined, mask)
        return features

    def forward_stages(self, x: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return the map of the one stage."""
        return [self.forward(x, mask)]

    def downsample_mask(self, mask: Tensor) -> Tensor:
        """The mask at the last map: as it was."""
        return mask

    def slots(self) -> list[Slot]:
        """List `conv` and `block` of each width (blocks 1, 2, ...) and `stage`, after they are joined."""
        found = []
        for number in range(len(self.windows)):
            at = f"windows.{number}"
            found += [
                Slot(
                    kind="conv",
                    path=f"{at}.conv",
                    how="replace",
                    channels=self.embedding_dim,
                    out_channels=self.maps,
                    stage=1,
                    block=number + 1,
                ),
                Slot(
                    kind="block",
                    path=f"{at}.after",
                    how="fill",
                    channels=self.maps,
                    stage=1,
                    block=number + 1,
                ),
            ]
        end = Slot(kind="stage", path="after", how="fill", channels=self.num_features, stage=1)
        return [*found, end]


class Window(nn.Module):
    """Convolution of one width, and ReLU."""

    def __init__(self, in_channels: int, maps: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = SameLength(in_channels, maps, kernel_size, padding=kernel_size // 2)
        self.after = OpenSlot()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (N, in_channels, L) to (N, maps, L)."""
        y: Tensor = self.after(F.relu(self.conv(x)), mask)
        return y


class SameLength(nn.Conv1d):
    """Convolution that keeps the length, so that an attention can stand in its place."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, L) to (N, maps, L)."""
        # With zeros at both ends an even window fits once more than there are positions.
        return super().forward(x)[..., : x.shape[-1]]


def _check(in_channels: int, embedding_dim: int, maps: int, kernel_sizes: Sequence[int]) -> None:
    numbers = {"embedding_dim": embedding_dim, "maps": maps}
    for option, value in numbers.items():
        if type(value) is not int or value < 1:
            raise InvalidValue(
                f"text_cnn: {option} is {value!r}; give a whole number of at least 1."
            )
    sizes = isinstance(kernel_sizes, list | tuple) and len(kernel_sizes) > 0
    if not sizes or not all(type(size) is int and size >= 1 for size in kernel_sizes):
        raise InvalidValue(
            f"text_cnn: kernel_sizes is {kernel_sizes!r}; give whole numbers of at least 1, one a window."
        )
    if type(in_channels) is not int or in_channels < 2:
        raise InvalidValue(
            f"text_cnn: in_channels is {in_channels!r}; give at least 2, for padding and unknown tokens."
        )

"""Augmentation of texts: batches of token numbers (N, L)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from zoo.errors import InvalidValue
from zoo.inputs.text import PADDING, UNKNOWN


class WordDropout:
    """Take each word for an unknown one with probability `probability` (Iyyer et al., ACL 2015)."""

    def __init__(self, *, probability: float = 0.1) -> None:
        if not 0.0 <= probability <= 1.0:
            raise InvalidValue(
                f"word_dropout: probability is {probability!r}; give a number in [0, 1]."
            )
        self.probability = probability

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """Return the texts, some of their words unknown."""
        chosen = (torch.rand(x.shape, generator=generator) < self.probability).to(x.device)
        return x.masked_fill(chosen & (x != PADDING), UNKNOWN)

"""Augmentation of texts."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from zoo.errors import InvalidValue
from zoo.train.augmentation import make_augmentation


def test_words_become_unknown_and_padding_stays() -> None:
    """About the given share of the words, drawn by the generator; the input stays."""
    texts = torch.full((50, 40), 7)
    texts[:, 30:] = 0
    drop = make_augmentation({"name": "word_dropout", "probability": 0.3})
    first, again = (drop(texts, Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again)
    assert bool((first[:, 30:] == 0).all())
    assert set(first[:, :30].unique().tolist()) == {1, 7}
    assert 0.25 < float((first[:, :30] == 1).float().mean()) < 0.35
    assert bool((texts[:, :30] == 7).all())


def test_a_share_beyond_one_is_refused() -> None:
    """The message names the value."""
    with pytest.raises(InvalidValue, match=r"word_dropout: probability is 1.5"):
        make_augmentation({"name": "word_dropout", "probability": 1.5})

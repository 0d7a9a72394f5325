"""Tests of the one layout that all timm models are presented in."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from zoo_timm.layouts import as_map

from zoo import InvalidValue


def present(y: object, *, channels_last: bool = False, prefix: int = 0) -> Tensor:
    """Present an output for an image twice as wide as high."""
    return as_map(y, name="timm/x", image=(32, 64), channels_last=channels_last, prefix=prefix)


def test_a_map_stays_as_it_is() -> None:
    """(N, C, H, W) is what is wanted."""
    y = torch.randn(2, 3, 4, 8)
    assert present(y) is y


def test_channels_last_become_second() -> None:
    """(N, H, W, C) is turned without a copy."""
    y = torch.randn(2, 4, 8, 3)
    assert torch.equal(present(y, channels_last=True)[1, :, 2, 5], y[1, 2, 5])


def test_tokens_become_a_map_of_the_proportions_of_the_image() -> None:
    """The class token is left out, and token 1 + 8 h + w stands at (h, w)."""
    y = torch.randn(2, 33, 3)
    z = present(y, prefix=1)
    assert z.shape == (2, 3, 4, 8)
    assert torch.equal(z[1, :, 2, 5], y[1, 1 + 2 * 8 + 5])


@pytest.mark.parametrize("y", [[torch.zeros(1, 2, 3, 4)], torch.zeros(1, 5), torch.zeros(1, 7, 3)])
def test_what_is_no_map_is_refused(y: object) -> None:
    """Lists, vectors, and tokens that fill no rectangle cannot be pooled."""
    with pytest.raises(InvalidValue, match="timm/x gives no map of features"):
        present(y)

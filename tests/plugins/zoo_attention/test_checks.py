"""Checks of what a module is given."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from zoo_attention.checks import check_batch_norm

from zoo import InvalidValue


def test_one_position_trains_no_batch_norm() -> None:
    """Without a mask it is refused in training, and in training alone."""
    module, x = nn.Identity(), torch.zeros(1, 8, 1, 1)
    with pytest.raises(InvalidValue, match="positions in the batch is 1, but must be at least 2"):
        check_batch_norm(module, x, None)
    check_batch_norm(module.eval(), x, None)


def test_no_value_of_a_mask_is_looked_at() -> None:
    """A mask on the meta device, which has none, will do: nothing waits for a device or breaks a graph."""
    mask = torch.ones(2, 4, dtype=torch.bool, device="meta")
    check_batch_norm(nn.Identity(), torch.zeros(2, 8, 4), mask)

"""Means of rows and columns."""

from __future__ import annotations

import pytest
import torch
from zoo_attention import strips

from zoo import InvalidValue


def test_means_are_those_of_rows_and_columns() -> None:
    """Without a mask, all positions count."""
    x = torch.tensor([[[[1.0, 2.0, 6.0], [0.0, -4.0, 1.0]]]])
    assert strips.row_means(x, None).tolist() == [[[3.0, -1.0]]]
    assert strips.column_means(x, None).tolist() == [[[0.5, -1.0, 3.5]]]


def test_masked_positions_do_not_count() -> None:
    """Means are over real positions; a strip without any gives 0, whatever stands there."""
    nan = float("nan")
    x = torch.tensor([[[[1.0, 2.0, nan], [nan, -4.0, nan]]]])
    mask = torch.tensor([[[True, True, False], [False, True, False]]])
    assert strips.row_means(x, mask).tolist() == [[[1.5, -4.0]]]
    assert strips.column_means(x, mask).tolist() == [[[1.0, -1.0, 0.0]]]
    rows, columns = strips.real_strips(mask)
    assert (rows.tolist(), columns.tolist()) == ([[True, True]], [[True, True, False]])


def test_half_precision_sums_do_not_overflow() -> None:
    """The mean of values that can be written in float16 is found though their sum cannot."""
    x = torch.full((1, 1, 200, 1), 500.0, dtype=torch.float16)
    assert strips.column_means(x, None).item() == 500


def test_refuses_one_dimension() -> None:
    """The message names the module and the rule."""
    with pytest.raises(InvalidValue, match="str: ndim is 1, but must be 2 for"):
        strips.check_two_axes("module", 1)
    strips.check_two_axes("module", 2)

"""Specs that are completed from data; what does not fit is refused as `fit` is asked, see test_fitting.py."""

from __future__ import annotations

import pytest

from zoo.errors import InvalidValue
from zoo.train.agreement import complete_spec
from zoo.train.data.dataset import Data


def test_a_spec_is_filled_from_the_data(data: Data) -> None:
    """The input is what the data was opened for, and the labels are its own."""
    filled = complete_spec({"backbone": "plain_cnn"}, data)
    assert filled.input == data.source
    assert filled.output.labels == data.labels
    counted = complete_spec({"backbone": "plain_cnn", "output": {"num_classes": 3}}, data)
    assert counted == filled


@pytest.mark.parametrize("output", [{"num_classes": 4}, {"labels": ["a", "b", "c"]}])
def test_a_spec_of_other_classes_is_refused(data: Data, output: dict[str, object]) -> None:
    """Neither another number of classes nor other names fit."""
    with pytest.raises(InvalidValue, match="classes do not fit shades"):
        complete_spec({"backbone": "plain_cnn", "output": output}, data)

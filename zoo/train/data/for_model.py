"""The data that a model is measured on: read as its input asks, and of its classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.errors import InvalidValue, counted, some
from zoo.train.data import open_data

if TYPE_CHECKING:
    from zoo import Model
    from zoo.train.data.dataset import Data
    from zoo.train.data.request import DataRequest


def data_for(model: Model, request: DataRequest, *, what: str, divided: bool = True) -> Data:
    """Read data to measure a model on.

    Args:
        model: What is measured.
        request: Which data, and how.
        what: What the model is called, for messages.
        divided: As for `open_data`.

    Raises:
        UnknownName: No data set has that name.
        InvalidValue: A folder or file is not what it should be, or the model is for other inputs or classes.
    """
    asked = model.spec.to_data()["input"]
    data = open_data(
        request, asked, vocabulary=tokens_of(model), classes=model.labels, divided=divided
    )
    if len(data.labels) != model.num_classes:
        raise InvalidValue(
            f"{what} has {counted(model.num_classes, 'class', 'classes')} without names, and {data.name} has "
            f"{len(data.labels)}, {some(data.labels)}: which is which cannot be told. Give data with samples of each."
        )
    return data


def tokens_of(model: Model) -> list[str] | None:
    """The vocabulary of a model for texts; None for others."""
    return None if model.vocabulary is None else model.vocabulary.tokens()

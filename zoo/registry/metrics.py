"""Figures of a version: whether they can stand in a file and in an index."""

from __future__ import annotations

import json
import re

import msgspec

from zoo.errors import InvalidValue
from zoo.registry.schema import Metric

_ACCURACY = re.compile(r"(^|/)(top\d+|accuracy)\Z")


def check_metrics(metrics: object) -> None:
    """Refuse figures that cannot stand in a file or an index, before anything is done.

    Raises:
        InvalidValue: One is no finite number, or an accuracy is no share; or they are not of the form of figures.
    """
    try:
        json.dumps(metrics, allow_nan=False)
        figures = msgspec.convert(metrics or {}, dict[str, Metric])
    except (TypeError, ValueError, msgspec.ValidationError) as error:
        raise InvalidValue(
            f"The metrics cannot be kept: {error}. They are {{'dataset/split/measure': {{'mean': ...}}}}, with finite "
            "numbers."
        ) from None
    for name, metric in figures.items():
        if not _ACCURACY.search(name):
            continue
        for figure in (metric.mean, metric.value):
            if figure is not None and not 0 <= figure <= 1:
                raise InvalidValue(
                    f"The metrics cannot be kept: {name} is {figure:g}. An accuracy is a share from 0 to 1: 0.995 for "
                    "99.5 %."
                )

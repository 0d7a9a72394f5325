"""How long one sample takes."""

from __future__ import annotations

import zoo
from zoo.train.latency import latencies


def test_models_are_timed_in_their_order() -> None:
    """One that takes inputs of any size gets no figure, in its place."""
    source = {"kind": "image", "channels": 3, "size": [32, 32]}
    narrow, wide = (
        zoo.compose({"name": "plain_cnn", "widths": [width]}, num_classes=2, input=source)
        for width in (2, 4)
    )
    text = zoo.compose(
        "text_cnn", head="max", num_classes=2, input={"kind": "text", "vocabulary": ["good"]}
    )
    first, none, last = latencies([wide, text, narrow], rounds=5)
    assert none is None
    assert first is not None
    assert last is not None
    assert min(first, last) > 0
    assert not wide.training

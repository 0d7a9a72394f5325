"""The published weights answer as they did when they were published: the digests of make_digests.py."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

import zoo

_spec = importlib.util.spec_from_file_location(
    "make_digests", Path(__file__).with_name("make_digests.py")
)
digests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(digests)

REFS = digests.published()
TIES = 2  # samples that lie so near between two classes that another machine may decide otherwise


def test_every_version_with_weights_has_a_digest() -> None:
    """And there is no digest of a version that is not there."""
    assert REFS
    assert {digests.place(ref).name for ref in REFS} == {
        path.name for path in digests.DIGESTS.iterdir()
    }


@pytest.mark.parametrize("ref", REFS)
def test_a_published_version_answers_as_it_did(ref: str) -> None:
    """To a few hundred synthetic inputs, prepared as its users' are."""
    stored, now = json.loads(digests.place(ref).read_text()), digests.digest(ref)
    assert now["samples"] == stored["samples"] == digests.SAMPLES
    moved = sum(abs(a - b) for a, b in zip(now["wins"], stored["wins"], strict=True)) / 2
    assert moved <= TIES
    for name in ("means", "deviations"):
        assert now[name] == pytest.approx(stored[name], rel=1e-3, abs=1e-3)


def test_other_weights_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth more in one tensor of the classifier, and the digest is another."""
    ref = REFS[0]
    stored = json.loads(digests.place(ref).read_text())
    create = zoo.create

    def changed(*args: object, **options: object) -> object:
        model = create(*args, **options)
        with torch.no_grad():
            list(model.parameters())[-2].mul_(1.1)
        return model

    monkeypatch.setattr(zoo, "create", changed)
    assert digests.digest(ref)["means"] != pytest.approx(stored["means"], rel=1e-3, abs=1e-3)

"""A registry in a repository of the hub, from its address to a model, against a stand-in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.registry import examination, publishing
from zoo.registry.staging import commands


def test_from_the_hub_to_a_model(
    hub: Any, small_spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was published to a folder and brought to the hub is found, fetched and verified."""
    monkeypatch.setattr(publishing, "examine_afresh", examination.examine)
    model = zoo.compose(zoo.Spec.from_data(small_spec)).eval()
    file, stage = zoo.save(model, tmp_path / "model.safetensors"), tmp_path / "stage"
    base = "hf://org/models@v2"
    hub.files["org/models", "v2", "README.md"] = b""
    with pytest.raises(zoo.InvalidValue, match="takes no files from zoo"):
        zoo.publish(file, registry=base, name="our_cnn", version="1.0.0")
    ref = zoo.publish(file, registry=base, name="our_cnn", version="1.0.0", stage=stage)
    assert [step.split()[0] for step in commands(base, stage)] == ["hf", "hf"]
    for path in (path for path in stage.rglob("*") if path.is_file()):
        hub.files["org/models", "v2", str(path.relative_to(stage))] = path.read_bytes()
    created = zoo.create("our_cnn", pretrained=True, registries=[zoo.Registry(base)])
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(created(x), model(x))
    assert (created.ref, created.ref.registry) == (ref, "models")

"""A registry in a bucket, from publishing to a model, against a real S3 server process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.registry import examination, publishing


@pytest.fixture
def model(small_spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> zoo.Model:
    """A model to publish; files are examined in this process, which is quick."""
    monkeypatch.setattr(publishing, "examine_afresh", examination.examine)
    return zoo.compose(zoo.Spec.from_data(small_spec)).eval()


@pytest.fixture
def file(model: zoo.Model, tmp_path: Path) -> Path:
    """Its file."""
    return zoo.save(model, tmp_path / "model.safetensors")


def test_from_a_file_to_a_bucket_to_a_model(base: str, file: Path, model: zoo.Model) -> None:
    """Published, found, fetched, verified; then withdrawn, for those who look anew."""
    ref = zoo.publish(file, registry=base, name="our_cnn", version="1.0.0")
    assert ref.registry == "zoo"
    registry = zoo.Registry(base)
    created = zoo.create("our_cnn@1", pretrained=True, registries=[registry])
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(created(x), model(x))
    assert created.ref == ref
    with pytest.raises(zoo.RegistryError, match=r"our_cnn@1\.0\.0 is in s3://.* already"):
        zoo.publish(file, registry=base, name="our_cnn", version="1.0.0")
    zoo.yank("our_cnn@1.0.0", registry=base, reason="wrong split")
    registry.refresh()
    with pytest.raises(zoo.UnknownName, match=r"1\.0\.0 \(withdrawn\)"):
        zoo.describe("our_cnn", registries=[registry])


def test_several_publishers_at_once_lose_nothing(base: str, file: Path) -> None:
    """Six of them, one bucket that is new: six versions, and a serial of six."""

    def publish(number: int) -> None:
        zoo.publish(file, registry=base, name="our_cnn", version=f"1.{number}.0")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(publish, range(6)))
    registry = zoo.Registry(base)
    assert registry.serial == 6
    assert len(list(registry.index.listings("our_cnn"))) == 6


def test_without_the_network_nothing_is_published(
    base: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch holds for publishing, too."""
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(zoo.Offline, match="ZOO_OFFLINE forbids the network"):
        zoo.publish(file, registry=base, name="our_cnn", version="1.0.0")

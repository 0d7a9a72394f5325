"""Publishing: a file becomes a version, whole or not at all, and a version never changes."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import zoo
from zoo.registry import publishing
from zoo.registry.reader import read_yaml


@pytest.fixture
def model(small_spec: dict[str, Any]) -> zoo.Model:
    """A model to publish."""
    torch.manual_seed(0)
    return zoo.compose(zoo.Spec.from_data(small_spec)).eval()


@pytest.fixture
def file(model: zoo.Model, tmp_path: Path) -> Path:
    """The model's file, with figures and a recipe."""
    return zoo.save(
        model,
        tmp_path / "model.safetensors",
        metrics={"pets/validation/top1": {"mean": 0.5, "seeds": 1}},
        recipe={"epochs": 3},
        provenance={"data": "pets"},
    )


def publish(file: Path, root: Path, version: str = "1.0.0", **fields: Any) -> zoo.ExactRef:
    """Publish as our_cnn."""
    return zoo.publish(file, registry=root, name="our_cnn", version=version, **fields)


def tree(root: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_what_is_published_is_what_is_created(file: Path, model: zoo.Model, tmp_path: Path) -> None:
    """From a file to a registry to a model with the same numbers, and all that the file said."""
    root = tmp_path / "our-zoo"
    ref = publish(
        file,
        root,
        summary="Pets: all of them.",
        license="Apache-2.0",
        metrics={"pets/test/top1": {"mean": 0.25}},
    )
    registry = zoo.Registry(root)
    created = zoo.create("our_cnn@1", pretrained=True, registries=[registry])
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(created(x), model(x))
    assert created.ref == ref
    version = zoo.describe("our_cnn", registries=[registry])
    assert version.summary == "Pets: all of them."
    assert version.license == "Apache-2.0"
    assert version.recipe == {"epochs": 3}
    assert version.provenance == {"data": "pets"}
    assert version.params == sum(parameter.numel() for parameter in model.parameters())
    assert {name: one["mean"] for name, one in version.metrics.items()} == {
        "pets/validation/top1": 0.5,
        "pets/test/top1": 0.25,
    }
    assert version.requires == {"attn-zoo": f">={'.'.join(zoo.__version__.split('.')[:2])}"}
    assert (registry.id, registry.serial) == ("our-zoo", 1)


def test_the_blob_is_named_by_its_bytes_and_read_only(file: Path, tmp_path: Path) -> None:
    """The path is the digest's, the content the file's, the mode 0444."""
    ref = publish(file, tmp_path / "zoo")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    blob = tmp_path / "zoo" / "blobs" / "sha256" / sha256[:2] / sha256
    assert ref.sha256 == sha256
    assert blob.read_bytes() == file.read_bytes()
    assert stat.S_IMODE(blob.stat().st_mode) == 0o444


def test_a_version_never_changes(file: Path, tmp_path: Path) -> None:
    """The same number a second time is refused, and nothing is touched; the next one is taken."""
    root = tmp_path / "zoo"
    publish(file, root)
    before = tree(root)
    with pytest.raises(
        zoo.RegistryError, match=r"our_cnn@1\.0\.0 is in .* already, and a version never changes"
    ):
        publish(file, root)
    assert tree(root) == before
    publish(file, root, "1.1.0")
    assert zoo.Registry(root).serial == 2
    assert [str(one.number) for one in zoo.Registry(root).index.listings("our_cnn")] == [
        "1.0.0",
        "1.1.0",
    ]


def test_texts_that_look_like_something_else_stay_texts(tmp_path: Path) -> None:
    """A summary that YAML or JSON would read as a number, a flag or a comment comes back as written."""
    texts = [
        "1.10",
        "1e5",
        "no",
        "null",
        "~",
        "# c",
        "a: b",
        "é\n- x",
        '"',
        "0123",
        "2026-01-01",
        "<<",
    ]
    variants = {f"v{n}": {"summary": text, "versions": {}} for n, text in enumerate(texts)}
    data = {"schema": 1, "id": "tests", "serial": 1, "variants": variants}
    path = tmp_path / "registry.yaml"
    path.write_bytes(publishing._checked_yaml(data, path))
    assert read_yaml(path)[0] == data


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("Our CNN", "1.0.0", "is no name"),
        ("our_cnn", "1.0", "is no version number"),
        ("our_cnn", "01.0.0", "is no version number"),
    ],
)
def test_wrong_names_and_numbers_are_refused(
    file: Path, tmp_path: Path, name: str, version: str, message: str
) -> None:
    """One clear message, and no folder is made."""
    with pytest.raises(zoo.InvalidRef, match=message):
        zoo.publish(file, registry=tmp_path / "zoo", name=name, version=version)
    assert not (tmp_path / "zoo").exists()


def test_what_holds_nan_is_refused(model: zoo.Model, tmp_path: Path) -> None:
    """A model with NaN is not published; the tensor is named."""
    with torch.no_grad():
        model.classifier.bias[0] = float("nan")
    file = zoo.save(model, tmp_path / "nan.safetensors")
    with pytest.raises(zoo.WeightsError, match=r"'classifier\.bias' holds NaN or infinity"):
        publish(file, tmp_path / "zoo")
    assert tree(tmp_path / "zoo") == {}


def test_what_only_this_process_can_load_is_refused(own_catalog: None, tmp_path: Path) -> None:
    """A fresh process is asked: what was registered here alone is no version for others."""

    @zoo.attention("only_here", family="channel")
    class OnlyHere(nn.Module):
        """Leave the map as it is."""

        def __init__(self, channels: int, *, ndim: int = 2) -> None:
            super().__init__()

        def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            return x

    model = zoo.compose("attn_cnn(widths=[4]) + only_here@last", num_classes=2)
    file = zoo.save(model, tmp_path / "only_here.safetensors")
    with pytest.raises(
        zoo.WeightsError, match=r"a fresh process cannot load the file: .*attention/only_here"
    ):
        publish(file, tmp_path / "zoo")


def test_a_broken_registry_is_not_written_over(file: Path, tmp_path: Path) -> None:
    """A registry that breaks a rule is an error, and stays as it is."""
    root = tmp_path / "zoo"
    root.mkdir()
    (root / "registry.yaml").write_text("schema: 1\nid: ours\nserial: 1\nvariants: {}\nserial: 2\n")
    before = tree(root)
    with pytest.raises(
        zoo.RegistryError, match=r"registry\.yaml:5: the key 'serial' a second time"
    ):
        publish(file, root)
    assert tree(root) == before


def test_two_at_once_do_not_lose_a_version(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds the index changed meanwhile starts again; the other's version stays."""
    root = tmp_path / "zoo"
    publish(file, root)
    write_blob = publishing._write_blob

    def and_somebody_else(target: Path, content: bytes) -> None:
        write_blob(target, content)
        index = root / "registry.yaml"
        index.write_text(index.read_text().replace("serial: 1", "serial: 7"))

    monkeypatch.setattr(publishing, "_write_blob", and_somebody_else)
    with pytest.raises(
        zoo.RegistryError, match=r"was changed by somebody else meanwhile\. Publish once more"
    ):
        publish(file, root, "1.1.0")
    assert zoo.Registry(root).serial == 7


def test_a_folder_that_cannot_be_made_is_refused(file: Path, tmp_path: Path) -> None:
    """A file in the way is named, and stays."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(zoo.InvalidValue, match="taken cannot be made"):
        publish(file, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "a file"

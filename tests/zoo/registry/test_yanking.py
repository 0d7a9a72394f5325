"""Withdrawing: the status of a version changes, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.registry.reader import read_yaml
from zoo.registry.resolving import YankedWarning


@pytest.fixture
def root(make_registry: Any) -> Path:
    """A registry with two versions of one variant."""
    root: Path = make_registry(
        our_cnn={"1.0.0": {"blob": b"one"}, "1.1.0": {"license": "MIT"}}
    ).root
    return root


def data(root: Path) -> Any:
    """What the index says."""
    return read_yaml(root / "registry.yaml")[0]


def test_a_version_that_is_withdrawn_is_passed_over(root: Path) -> None:
    """By its number it is still had, with a warning that says why."""
    ref = zoo.yank("our_cnn@1.1.0", registry=root, reason=" trained on the wrong split ")
    assert str(ref) == "our_cnn@1.1.0"
    registries = [zoo.Registry(root)]
    assert str(zoo.describe("our_cnn", registries=registries).ref) == "our_cnn@1.0.0"
    with pytest.warns(
        YankedWarning, match="withdrawn by its publisher: trained on the wrong split"
    ):
        version = zoo.describe("our_cnn@1.1.0", registries=registries)
    assert version.yanked == "trained on the wrong split"
    assert ref.sha256 is None
    assert zoo.yank("our_cnn@1.0.0", registry=root, reason="x").sha256 is not None


def test_nothing_else_changes(root: Path) -> None:
    """The status, and the serial by one; taken back, all is as it was but the serial."""
    before = data(root)
    zoo.yank("our_cnn@1.1.0", registry=root, reason="wrong split")
    changed = data(root)
    status = changed["variants"]["our_cnn"]["versions"]["1.1.0"].pop("status")
    assert status == {"yanked": "wrong split"}
    assert changed == {**before, "serial": before["serial"] + 1}
    zoo.yank("our_cnn@1.1.0", registry=root, reason="another reason")
    zoo.yank("our_cnn@1.1.0", registry=root, undo=True)
    assert data(root) == {**before, "serial": before["serial"] + 3}


@pytest.mark.parametrize(
    ("make", "why"), [(False, "there is no such folder"), (True, "it holds no")]
)
def test_where_no_registry_is_nothing_is_withdrawn(tmp_path: Path, make: bool, why: str) -> None:
    """That there is none is said, and not that it lacks the variant."""
    if make:
        (tmp_path / "none").mkdir()
    with pytest.raises(zoo.RegistryError, match=f"none is no registry: {why}"):
        zoo.yank("our_cnn@1.0.0", registry=tmp_path / "none", reason="x")


def test_what_is_so_already_is_told(root: Path) -> None:
    """A second time, and taking back what is not withdrawn; the index stays as it is."""
    with pytest.raises(zoo.RegistryError, match=r"our_cnn@1\.0\.0 is not withdrawn in"):
        zoo.yank("our_cnn@1.0.0", registry=root, undo=True)
    zoo.yank("our_cnn@1.0.0", registry=root, reason="x")
    before = data(root)
    with pytest.raises(zoo.RegistryError, match="is withdrawn for that reason already"):
        zoo.yank("our_cnn@1.0.0", registry=root, reason="x")
    assert data(root) == before


@pytest.mark.parametrize(
    ("ref", "error", "message"),
    [
        ("our_cnn", zoo.InvalidRef, "say which version, with its whole number"),
        ("our_cnn@1", zoo.InvalidRef, "say which version, with its whole number"),
        ("ours/our_cnn@1.0.0", zoo.InvalidRef, "leave 'ours' and the slash out"),
        ("Our CNN@1.0.0", zoo.InvalidRef, "is no ref"),
        ("our_cn@1.0.0", zoo.UnknownName, "has no variant 'our_cn'. Did you mean 'our_cnn'"),
        ("our_cnn@3.0.0", zoo.UnknownName, r"Versions of our_cnn: 1\.0\.0, 1\.1\.0"),
    ],
)
def test_other_refs_are_refused(root: Path, ref: str, error: Any, message: str) -> None:
    """One version, by its number, that there is."""
    before = data(root)
    with pytest.raises(error, match=message):
        zoo.yank(ref, registry=root, reason="x")
    assert data(root) == before


def test_a_reason_belongs_to_withdrawing_and_to_nothing_else(root: Path) -> None:
    """None is refused, and so is one for taking it back."""
    with pytest.raises(zoo.InvalidValue, match="Say why the version is withdrawn"):
        zoo.yank("our_cnn@1.0.0", registry=root, reason="  ")
    with pytest.raises(zoo.InvalidValue, match="needs no reason"):
        zoo.yank("our_cnn@1.0.0", registry=root, reason="x", undo=True)


def test_versions_of_a_newer_schema_are_kept(root: Path) -> None:
    """What this version cannot read it carries along."""
    text = (root / "registry.yaml").read_text()
    newer = text.replace('"1.1.0": {', '"1.1.0": {"schema": 99, "shape": [1, 2],', 1)
    (root / "registry.yaml").write_text(newer)
    zoo.yank("our_cnn@1.0.0", registry=root, reason="x")
    assert data(root)["variants"]["our_cnn"]["versions"]["1.1.0"]["shape"] == [1, 2]

"""Publishing: a file becomes a version, whole or not at all, and a version never changes."""

from __future__ import annotations

import hashlib
import json
import math
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

import zoo
from zoo.registry import publishing
from zoo.registry.examination import examine
from zoo.registry.requirements import satisfies
from zoo.weights import parse

pytestmark = pytest.mark.usefixtures("examined_here")


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


def test_another_s_publication_meanwhile_is_kept(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds the index changed goes on from there; both versions are in it."""
    root = tmp_path / "zoo"
    publish(file, root)
    write_blob = publishing.write_blob

    def and_somebody_else(*arguments: Any) -> None:
        write_blob(*arguments)
        monkeypatch.setattr(publishing, "write_blob", write_blob)
        publish(file, root, "1.2.0")

    monkeypatch.setattr(publishing, "write_blob", and_somebody_else)
    publish(file, root, "1.1.0")
    registry = zoo.Registry(root)
    assert registry.serial == 3
    assert {str(one.number) for one in registry.index.listings("our_cnn")} == {
        "1.0.0",
        "1.1.0",
        "1.2.0",
    }


def test_two_who_publish_one_version_do_not_both(
    file: Path, model: zoo.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one who is slower is refused, and the faster one's version stays."""
    root = tmp_path / "zoo"
    write_blob = publishing.write_blob
    faster: list[zoo.ExactRef] = []

    def and_somebody_else(*arguments: Any) -> None:
        write_blob(*arguments)
        monkeypatch.setattr(publishing, "write_blob", write_blob)
        with torch.no_grad():
            model.classifier.bias.add_(1)
        faster.append(publish(zoo.save(model, tmp_path / "other.safetensors"), root))

    monkeypatch.setattr(publishing, "write_blob", and_somebody_else)
    with pytest.raises(zoo.RegistryError, match="already, and a version never changes"):
        publish(file, root)
    (listing,) = zoo.Registry(root).index.listings("our_cnn")
    assert listing.sha256 == faster[0].sha256


def test_a_crash_before_the_index_leaves_only_a_blob(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing refers to it, and publishing once more takes it as it is."""
    root = tmp_path / "zoo"

    def crash(*arguments: Any) -> None:
        raise KeyboardInterrupt("a crash")

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "change_index", crash)
        with pytest.raises(KeyboardInterrupt, match="a crash"):
            publish(file, root)
    (left,) = tree(root)
    assert left.startswith("blobs/")
    publish(file, root)
    assert set(tree(root)) == {left, "registry.yaml"}


def test_a_damaged_blob_in_the_way_is_told(file: Path, tmp_path: Path) -> None:
    """A file of the right name and other bytes is neither taken for the blob nor written over."""
    root = tmp_path / "zoo"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    blob = root / "blobs" / "sha256" / sha256[:2] / sha256
    blob.parent.mkdir(parents=True)
    blob.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(zoo.RegistryError, match=r"is there already and is damaged.* Delete it"):
        publish(file, root)
    assert not (root / "registry.yaml").exists()
    blob.unlink()
    publish(file, root)


@pytest.mark.parametrize(
    "way", ["our_cn", "our_cnnn", "our_cnm", "our_ncn", "uor_cnn", "your_cnn", "o0r_cnn"]
)
def test_a_name_one_letter_from_another_is_refused(file: Path, tmp_path: Path, way: str) -> None:
    """A letter less, more, another one, two exchanged; unless it is meant. Nothing is examined before."""
    root = tmp_path / "zoo"
    publish(file, root)
    before = tree(root)
    with pytest.raises(zoo.RegistryError, match=f"'{way}' is one letter from 'our_cnn'"):
        zoo.publish(tmp_path / "nothing", registry=root, name=way, version="1.0.0")
    assert tree(root) == before


def test_a_similar_name_can_be_meant(file: Path, tmp_path: Path) -> None:
    """With a word; from then on it is a name like any other."""
    root = tmp_path / "zoo"
    publish(file, root)
    zoo.publish(file, registry=root, name="our_cnn2", version="1.0.0", allow_similar_name=True)
    zoo.publish(file, registry=root, name="our_cnn2", version="1.1.0")
    assert zoo.Registry(root).index.names() == ["our_cnn", "our_cnn2"]


@pytest.mark.parametrize(
    "other", ["our_net", "our_cnn_a", "cnn_our", "cnn", "our_cnn_small", "nnc_ruo"]
)
def test_other_names_are_taken(other: str) -> None:
    """Two letters apart is another name."""
    assert publishing.mistakable(other, ["our_cnn"]) is None


@given(st.text("ab", max_size=6), st.text("ab", max_size=6))
def test_one_slip_is_what_one_slip_makes(one: str, other: str) -> None:
    """Against a second implementation, which makes every slip there is."""
    slips = {one}
    for at in range(len(one) + 1):
        slips |= {one[:at] + letter + one[at:] for letter in "ab"}
        if at < len(one):
            slips |= {one[:at] + letter + one[at + 1 :] for letter in ("", "a", "b")}
            slips.add(one[:at] + one[at + 1 : at + 2] + one[at] + one[at + 2 :])
    assert (publishing.mistakable(one, [other]) is not None) is (other in slips)


def test_a_name_is_never_freed(file: Path, tmp_path: Path) -> None:
    """A version that is withdrawn keeps its number."""
    root = tmp_path / "zoo"
    publish(file, root)
    zoo.yank("our_cnn@1.0.0", registry=root, reason="wrong split")
    with pytest.raises(zoo.RegistryError, match="a version never changes"):
        publish(file, root)


def test_the_folder_of_a_run_is_published_by_its_best_file(file: Path, tmp_path: Path) -> None:
    """With the figures and the recipe in it; a folder without one is refused."""
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(zoo.InvalidValue, match=r"run is a folder without best\.safetensors"):
        publish(run, tmp_path / "zoo")
    (run / "best.safetensors").write_bytes(file.read_bytes())
    publish(run, tmp_path / "zoo")
    version = zoo.describe("our_cnn", registries=[zoo.Registry(tmp_path / "zoo")])
    assert version.recipe == {"epochs": 3}
    assert version.metrics["pets/validation/top1"]["mean"] == 0.5


def test_a_file_that_changes_meanwhile_is_refused(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was examined is what is published."""
    examined = {**examine(file), "sha256": "0" * 64}
    monkeypatch.setattr(publishing, "examine_afresh", lambda path: examined)
    with pytest.raises(zoo.WeightsError, match="was changed while it was examined"):
        publish(file, tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def test_tensors_that_the_spec_does_not_build_are_refused(
    file: Path, model: zoo.Model, tmp_path: Path
) -> None:
    """A file that says one model and holds another."""
    other = zoo.compose("attn_cnn(widths=[4, 8]) + se@branch", num_classes=3)
    spec = parse(file.read_bytes(), "file").metadata
    mixed = tmp_path / "mixed.safetensors"
    mixed.write_bytes(save(other.state_dict(), {"zoo": json.dumps(spec)}))
    with pytest.raises(zoo.WeightsError, match="holds another model than its spec says"):
        publish(mixed, tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize("components", ["x", {"attention/se": "y"}, {"attention/se": ["z"]}, None])
def test_a_file_with_a_broken_list_of_components_is_refused(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, components: Any
) -> None:
    """It could not say what others need to install."""

    def broken(content: bytes, source: str) -> Any:
        parsed = parse(content, source)
        return parsed._replace(metadata={**parsed.metadata, "components": components})

    monkeypatch.setattr("zoo.weights.parse", broken)
    with pytest.raises(zoo.WeightsError, match="does not say where its components came from"):
        publish(file, tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(
    "metrics",
    [
        *({"pets/test/top1": {"mean": mean}} for mean in (math.nan, math.inf, object(), 99.5, -1)),
        {"pets/test/top1": {"mean": 0.9, "value": 90}},
        {"pets/test/top1": {"mean": 0.9, "best": 0.95}},
        {"pets/test/top1": {"std": 0.1}},
        {"pets/test/top1": 0.9},
        [0.9],
        0.9,
    ],
)
def test_figures_that_are_none_are_refused(
    file: Path, tmp_path: Path, metrics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written, and likewise where the file itself has them."""
    with pytest.raises(zoo.InvalidValue, match="The metrics cannot be kept"):
        publish(file, tmp_path / "zoo", metrics=metrics)

    def parsed(content: bytes, source: str) -> Any:
        found = parse(content, source)
        return found._replace(metadata={**found.metadata, "metrics": metrics})

    monkeypatch.setattr("zoo.weights.parse", parsed)
    with pytest.raises(zoo.InvalidValue, match="The metrics cannot be kept"):
        publish(file, tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"backbone": {"name": "plain_cnn", "widths": [6], "depths": [1]}}, "tensors"),
        ({"labels": ["dog", "cat"]}, "classes"),
        ({"input": {"kind": "image", "channels": 3, "size": [9, 9]}}, "inputs"),
    ],
)
def test_within_a_major_number_a_model_stays_what_it_is(
    tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    """Retrained it is another version of it; all else is the next MAJOR number, and before 1.0.0 free."""
    asked: dict[str, Any] = {
        "backbone": {"name": "plain_cnn", "widths": [4], "depths": [1]},
        "labels": ["cat", "dog"],
        "input": {"kind": "image", "channels": 3, "size": [8, 8], "mean": [0.5, 0.5, 0.5]},
    }
    retrained = {**asked, "input": {**asked["input"], "mean": [0.4, 0.4, 0.4]}}
    first, second, other = (
        zoo.save(zoo.compose(**blocks), tmp_path / f"{number}.safetensors")
        for number, blocks in enumerate((asked, retrained, {**asked, **change}))
    )
    root = tmp_path / "zoo"
    publish(first, root)
    publish(second, root, "1.1.0")
    before = tree(root)
    with pytest.raises(
        zoo.RegistryError, match=rf"@1\.2\.0 has other {what} than .* Publish it as our_cnn@2\.0\.0"
    ):
        publish(other, root, "1.2.0")
    assert tree(root) == before
    publish(other, root, "2.0.0")
    publish(first, root, "0.1.0")
    publish(other, root, "0.2.0")


def test_a_version_of_a_newer_schema_binds_nobody(file: Path, tmp_path: Path) -> None:
    """Nothing is known of it, not even that its number is one; it stays as it is."""
    root = tmp_path / "zoo"
    publish(file, root)
    index = root / "registry.yaml"
    newer = "      1.x:\n        schema: 99\n        recipes: [1]\n"
    index.write_text(index.read_text() + newer)
    publish(file, root, "1.0.1")
    data = yaml.safe_load(index.read_text())
    assert data["variants"]["our_cnn"]["versions"]["1.x"] == {"schema": 99, "recipes": [1]}
    assert "1.0.1" in data["variants"]["our_cnn"]["versions"]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A model with other classes than that of `file`."""
    return zoo.save(zoo.compose("plain_cnn(widths=[4])", num_classes=7), tmp_path / "o.safetensors")


def test_a_withdrawn_version_binds_nobody(file: Path, other: Path, tmp_path: Path) -> None:
    """What was withdrawn for being another model may be followed by the right one, and does not come back then."""
    root = tmp_path / "zoo"
    publish(other, root)
    zoo.yank("our_cnn@1.0.0", registry=root, reason="wrong classes")
    assert str(publish(file, root, "1.0.1")) == "our_cnn@1.0.1"
    before = tree(root)
    with pytest.raises(
        zoo.RegistryError, match=r"our_cnn@1\.0\.0 has other .* than our_cnn@1\.0\.1"
    ):
        zoo.yank("our_cnn@1.0.0", registry=root, undo=True)
    assert tree(root) == before


def test_a_pre_release_binds_nobody_and_is_not_bound(
    file: Path, other: Path, tmp_path: Path
) -> None:
    """No `our_cnn@1` stands for one."""
    root = tmp_path / "zoo"
    publish(other, root, "1.0.0-rc1")
    publish(file, root, "1.0.0")
    publish(other, root, "1.1.0-rc1")
    with pytest.raises(zoo.RegistryError, match=r"our_cnn@1\.1\.0 has other"):
        publish(other, root, "1.1.0")


def test_a_folder_that_cannot_be_made_is_refused(file: Path, tmp_path: Path) -> None:
    """A file in the way is named, and stays."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(
        zoo.FetchError, match=r"taken/registry\.yaml cannot be read: Not a directory"
    ):
        publish(file, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_place_that_cannot_be_written_is_told_before_the_file_is_examined(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry, or the folder to lay files out in; examining takes a process and the model's time."""
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "blobs").write_text("a file")
    monkeypatch.setattr(publishing, "examine_afresh", lambda _: pytest.fail("it was examined"))
    with pytest.raises(zoo.FetchError, match=r"zoo/blobs/.* cannot be written: Not a directory"):
        publish(file, tmp_path / "zoo")
    with pytest.raises(zoo.FetchError, match=r"blobs/stage/.* cannot be written: Not a directory"):
        publish(file, tmp_path / "new", stage=tmp_path / "zoo" / "blobs" / "stage")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("release", "needed"),
    [
        ("1.4.2", ">=1.4"),
        ("2", ">=2"),
        ("0.1.0.dev1", ">=0.1.0.dev1"),
        ("0.1.dev3+g1234", ">=0.1.dev3"),
        ("1.0.0rc1", ">=1.0.0rc1"),
        ("1.1.0.post1", ">=1.1"),
    ],
)
def test_what_is_needed_is_there_where_it_was_published(release: str, needed: str) -> None:
    """A release before the first of its minor ones is not among those from that on."""
    assert publishing._from_on(release) == needed
    assert satisfies(release, needed)

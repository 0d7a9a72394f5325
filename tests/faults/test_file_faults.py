"""Weights files that are hostile, damaged or from the future: a clear error, before a tensor is made.

Each is a file that is loaded, as a user would.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo import DigestMismatch, Model, PluginError, Registry, Spec, WeightsError, ZooError
from zoo.weights import to_bytes

Load = Callable[[bytes], Model]
SPEC: dict[str, Any] = {
    "backbone": {"name": "attn_cnn", "widths": [4], "depths": 1},
    "output": {"num_classes": 2},
}


def metadata(spec: object = SPEC, **more: object) -> dict[str, str]:
    """What stands in the header beside the tensors."""
    return {"zoo": json.dumps({"format": 1, "spec": spec, **more})}


def file(header: dict[str, Any], data: bytes = b"", **metadata_fields: object) -> bytes:
    """A file with these tensors."""
    text = json.dumps({"__metadata__": metadata(**metadata_fields), **header}).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(begin: int, end: int, shape: list[int], dtype: str = "U8") -> dict[str, Any]:
    """The description of a tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.fixture(scope="module")
def sound() -> bytes:
    """A file without a fault."""
    torch.manual_seed(0)
    model = zoo.compose(Spec.from_data(SPEC))
    return to_bytes(model, model.plan)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a file with these bytes."""

    def write_and_load(content: bytes) -> Model:
        path = tmp_path / "model.safetensors"
        path.write_bytes(content)
        return zoo.load(path)

    return write_and_load


def test_the_file_that_the_faults_are_put_into_is_sound(load: Load, sound: bytes) -> None:
    """Otherwise the tests below would pass for another reason."""
    assert load(sound).num_classes == 2


class Runs:
    """What a pickle can do to whoever opens it."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """Make a folder."""
        return os.mkdir, (str(Runs.folder),)

    folder = Path()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_under_a_safetensors_name(tmp_path: Path, zipped: bool) -> None:
    """Both forms of torch.save: told by their content, and nothing in them is run."""
    Runs.folder = tmp_path / "run"
    path = tmp_path / "model.safetensors"
    torch.save({"weights": Runs()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"is a pickle .* It is not opened, because a pickle can"
    ):
        zoo.load(path)
    assert not Runs.folder.exists()


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**40, 17 * 2**20])
def test_a_header_length_bomb(load: Load, length: int) -> None:
    """A claim is not believed, and no memory is taken for it."""
    with pytest.raises(WeightsError, match=f"its header claims {length} bytes; at most 16777216"):
        load(length.to_bytes(8, "little") + b"{}")


@pytest.mark.parametrize("second", [(2, 6), (0, 4), (3, 4)])
def test_overlapping_offsets(load: Load, second: tuple[int, int]) -> None:
    """Two names for the same bytes."""
    begin, end = second
    header = {"a": tensor(0, 4, [4]), "b": tensor(begin, end, [end - begin])}
    with pytest.raises(
        WeightsError, match=r"tensor 'b' begins at byte \d, expected 4|'a' begins at"
    ):
        load(file(header, bytes(max(4, end))))


@pytest.mark.parametrize("first", [(1, 4), (0, 3)])
def test_missing_offsets(load: Load, first: tuple[int, int]) -> None:
    """Bytes that belong to no tensor, at the beginning and in between."""
    begin, end = first
    header = {"a": tensor(begin, end, [end - begin]), "b": tensor(4, 8, [4])}
    with pytest.raises(WeightsError, match=r"begins at byte \d, expected \d"):
        load(file(header, bytes(8)))


def test_offsets_that_are_not_there_at_all(load: Load) -> None:
    """A tensor without a place."""
    with pytest.raises(WeightsError, match="tensor 'a' is described wrongly"):
        load(file({"a": {"dtype": "U8", "shape": [1]}}, b"x"))


@pytest.mark.parametrize("shape", [[2**32, 2**32], [2**62, 4], [2**63 - 1, 2**63 - 1], [3, 2**62]])
def test_a_shape_that_overflows(load: Load, shape: list[int]) -> None:
    """In 64 bits its product would be 0, or the number of bytes that are there."""
    with pytest.raises(WeightsError, match=r"tensor 'a' has 4 bytes; U8 of shape"):
        load(file({"a": tensor(0, 4, shape)}, bytes(4)))


def test_a_shape_of_nothing_times_too_much(load: Load) -> None:
    """[0, 2^64 - 1]: no bytes, and no number that a tensor could have."""
    with pytest.raises(WeightsError, match="tensor 'a' is described wrongly"):
        load(file({"a": tensor(0, 0, [0, 2**64 - 1])}))


def test_a_name_that_stands_twice(load: Load) -> None:
    """Python's own reader would silently keep the last one."""
    text = json.dumps({"__metadata__": metadata(), "a": tensor(0, 1, [1])})
    twice = text[:-1] + ', "a": ' + json.dumps(tensor(0, 1, [1])) + "}"
    with pytest.raises(WeightsError, match="the tensor 'a' stands there twice"):
        load(len(twice).to_bytes(8, "little") + twice.encode() + b"x")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\nb", "a\x1b[31m", "", "a\0", "__class__"])
def test_names_that_are_paths_or_lines(load: Load, name: str) -> None:
    """They are none of the model's; in the message nothing of them reaches a terminal as it is."""
    with pytest.raises(WeightsError, match="holds another model than its spec says") as caught:
        load(file({name: tensor(0, 1, [1])}, b"x"))
    assert str(caught.value).isprintable()


def test_100_000_empty_tensors(load: Load) -> None:
    """They are counted, and not looked at one by one."""
    with pytest.raises(WeightsError, match="it names 100000 tensors; at most 20000 are read"):
        load(file({f"t{number}": 0 for number in range(100_000)}))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.9999])
def test_truncation(load: Load, sound: bytes, share: float) -> None:
    """Wherever the copy broke off."""
    with pytest.raises(WeightsError, match="is cut off"):
        load(sound[: int(share * len(sound))])


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 0.999])
def test_one_flipped_bit_in_a_registry(sound: bytes, tmp_path: Path, at: float) -> None:
    """In the header or in a weight: the digest says so."""
    digest = hashlib.sha256(sound).hexdigest()
    blob = tmp_path / "blobs" / "sha256" / digest[:2] / digest
    blob.parent.mkdir(parents=True)
    blob.write_bytes(sound)
    entry = {"spec": SPEC, "weights": {"sha256": digest, "size": len(sound)}}
    data = {"schema": 1, "id": "x", "serial": 1, "variants": {"a": {"versions": {"1.0.0": entry}}}}
    (tmp_path / "registry.yaml").write_text(json.dumps(data))
    registry = Registry(tmp_path)
    assert zoo.create("a", pretrained=True, registries=[registry]).num_classes == 2
    damaged = bytearray(sound)
    damaged[int(at * len(sound))] ^= 1
    blob.write_bytes(damaged)
    with pytest.raises(DigestMismatch, match=r"is damaged: .* published were .*"):
        zoo.create("a", pretrained=True, registries=[registry])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("widths", [8], r"is \('F32', .*expected \('F32'"),
        ("depths", 2, r"it lacks \d+ tensors, e\.g\. 'backbone"),
        ("widths", [4, 4], r"it lacks \d+ tensors, e\.g\. 'backbone"),
    ],
)
def test_a_spec_that_does_not_match_its_tensors(
    load: Load, sound: bytes, field: str, value: object, message: str
) -> None:
    """The names, shapes and types of a model's tensors are exactly those of its file."""
    end = 8 + int.from_bytes(sound[:8], "little")
    header = json.loads(sound[8:end])
    spec = {**SPEC, "backbone": {**SPEC["backbone"], field: value}}
    text = json.dumps({**header, "__metadata__": metadata(spec)}).encode()
    with pytest.raises(WeightsError, match=f"holds another model than its spec says: .*{message}"):
        load(len(text).to_bytes(8, "little") + text + sound[end:])


@pytest.mark.parametrize(
    "spec",
    [
        {"backbone": {"name": "attn_cnn", "widths": [200_000, 200_000], "depths": 1}},
        {"backbone": {"name": "attn_cnn", "widths": [8], "depths": 10**7}},
        {"backbone": "attn_cnn", "output": {"num_classes": 10**12}},
        {"backbone": "attn_cnn", "head": {"name": "avg", "hidden": [1] * 10**5}},
        {"backbone": "attn_cnn", "attention": [{"name": "se", "slot": "branch"}] * 10**4},
        {
            "input": {"kind": "text", "vocabulary_size": 10**12, "vocabulary_bytes": 10**12},
            "backbone": "text_cnn",
        },
    ],
    ids=["wide", "deep", "classes", "layers", "attentions", "words"],
)
def test_a_spec_bomb(load: Load, spec: dict[str, Any]) -> None:
    """A few hundred bytes that describe terabytes, or millions of modules: building stops long before."""
    with pytest.raises(
        WeightsError, match=r"the spec describes many times as much. It is not built"
    ):
        load(file({"a": tensor(0, 1, [1])}, b"x", spec=spec))


def test_a_file_of_a_terabyte(tmp_path: Path, sound: bytes) -> None:
    """Sparse, so that it takes no room: it is refused by its header, and not read."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(sound)
    os.truncate(path, 2**40)
    with pytest.raises(WeightsError, match="has bytes that belong to no tensor: 10995"):
        zoo.load(path)


def test_a_pipe(tmp_path: Path) -> None:
    """It is not waited for."""
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="it is a pipe or a device, and no file"):
        zoo.load(tmp_path / "model.safetensors")


def test_a_missing_plug_in(load: Load) -> None:
    """It is named with its distribution and version."""
    spec = {"backbone": "attn_cnn", "attention": [{"name": "gone", "slot": "last"}]}
    origin = {"attention/gone": ["attn-zoo-gone", "1.2.3"]}
    with pytest.raises(
        PluginError,
        match=r"attention/gone, which came with attn-zoo-gone 1\.2\.3\. Install it: pip",
    ):
        load(file({}, spec=spec, components=origin))


def test_a_newer_format(load: Load) -> None:
    """With what to do about it."""
    content = file({}).replace(b'\\"format\\": 1', b'\\"format\\": 2')
    with pytest.raises(WeightsError, match=r"has format 2; this version reads up to 1\. Upgrade"):
        load(content)


@pytest.mark.parametrize("depth", [100, 990, 100_000])
def test_a_header_that_is_nested_deeply(load: Load, depth: int) -> None:
    """Its own, and that of the spec inside."""
    nested = "[" * depth + "]" * depth
    with pytest.raises(ZooError, match=r"no JSON|described wrongly|too deeply|has no option"):
        load(file({}).replace(b"}", f', "a": {nested}}}'.encode(), 1))
    text = json.dumps(
        {"zoo": f'{{"format": 1, "spec": {{"backbone": {{"name": "b", "x": {nested}}}}}}}'}
    )
    header = f'{{"__metadata__": {text}}}'.encode()
    with pytest.raises(ZooError, match=r"no JSON|too deeply|No plug-in offers backbone/b"):
        load(len(header).to_bytes(8, "little") + header)

"""Weights files: hostile ones are refused before a tensor is made, honest ones come back bit for bit.

See also `tests/faults/test_file_faults.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from zoo import InvalidValue, Model, Spec, WeightsError, ZooError
from zoo.weights import WeightsFile, interface, load_into, not_finite, opened, parse, to_bytes

METADATA = {"zoo": json.dumps({"format": 1, "spec": {"backbone": "attn_cnn"}})}


def file(header: object, data: bytes = b"") -> bytes:
    """The bytes of a file with this header, as data or as text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(
    begin: int, end: int, shape: object = None, dtype: str = "U8", **more: Any
) -> dict[str, Any]:
    """The description of one tensor."""
    shape = [end - begin] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


@pytest.fixture(scope="module")
def model() -> Model:
    """A small model with an attention and two classes."""
    torch.manual_seed(0)
    spec = {
        "backbone": {"name": "attn_cnn", "widths": [4, 8], "depths": 1},
        "attention": [{"name": "se", "slot": "branch", "start": "identity"}],
        "output": {"labels": ["cat", "dog"]},
    }
    return zoo.compose(Spec.from_data(spec)).eval()


@pytest.fixture(scope="module")
def content(model: Model) -> bytes:
    """Its file."""
    return to_bytes(model, model.plan)


def test_a_saved_model_comes_back_bit_for_bit(model: Model, tmp_path: Path) -> None:
    """Parameters, buffers, spec and outputs."""
    again = zoo.load(zoo.save(model, tmp_path / "m.safetensors"))
    assert again.spec == model.spec
    assert again.ref is None
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    x = torch.randn(2, 3, 9, 7)
    assert torch.equal(again(x), model(x))


def test_a_loaded_model_can_be_trained(model: Model, content: bytes) -> None:
    """Its tensors share the memory of the file, and can be written to."""
    file = parse(bytearray(content), "f")
    again = zoo.compose(file.spec)
    load_into(again, file)
    again(torch.randn(4, 3, 8, 8)).sum().backward()
    before = again.classifier.weight.detach().clone()
    with torch.no_grad():
        again.classifier.weight -= again.classifier.weight.grad
    assert not torch.equal(again.classifier.weight, before)
    assert all(p.requires_grad and p.is_leaf for p in again.parameters())


def test_the_same_model_gives_the_same_bytes(model: Model, content: bytes, tmp_path: Path) -> None:
    """And so the same digest, also after a round trip."""
    digests = {hashlib.sha256(to_bytes(model, model.plan)).hexdigest() for _ in range(5)}
    again = zoo.load(zoo.save(model, tmp_path / "m.safetensors"))
    digests.add(hashlib.sha256((tmp_path / "m.safetensors").read_bytes()).hexdigest())
    digests.add(hashlib.sha256(to_bytes(again, again.plan)).hexdigest())
    assert digests == {hashlib.sha256(content).hexdigest()}


def test_the_layout_of_memory_does_not_reach_the_file(content: bytes, tmp_path: Path) -> None:
    """channels_last and views of larger tensors are written like any other."""
    again = zoo.load(_written(tmp_path, content))
    again.to(memory_format=torch.channels_last)
    large = torch.randn(10, 8)
    large[2:4] = again.classifier.weight.detach()
    again.classifier.weight = nn.Parameter(large[2:4])
    assert to_bytes(again, again.plan) == content


def test_a_file_is_read_by_other_readers(content: bytes) -> None:
    """It is an ordinary safetensors file."""
    from safetensors.torch import load

    assert "classifier.weight" in load(content)


@pytest.mark.parametrize("start", [b"\x80", b"PK"])
def test_a_length_that_begins_like_a_pickle_is_a_length(content: bytes, start: bytes) -> None:
    """The first bytes of a file of ours can be those of a pickle: they are the header's length."""
    length = int.from_bytes(content[:8], "little")
    wanted = int.from_bytes(start, "little")
    more = (wanted - length) % 256 ** len(start)
    header = content[8 : 8 + length] + b" " * more
    padded = (length + more).to_bytes(8, "little") + header + content[8 + length :]
    assert padded.startswith(start)
    assert parse(bytearray(padded), "here").entries


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"a": tensor(0, 4), "b": tensor(2, 6)}, 6, "'b' begins at byte 2, expected 4"),
        ({"a": tensor(0, 4), "b": tensor(5, 6)}, 6, "'b' begins at byte 5, expected 4"),
        ({"a": tensor(1, 4)}, 4, "'a' begins at byte 1, expected 0"),
        ({"a": tensor(0, 4)}, 5, "has bytes that belong to no tensor: 5 bytes of data, .* take 4"),
        ({"a": tensor(0, 4)}, 3, "is cut off: 3 bytes of data"),
        ({"a": tensor(4, 0)}, 4, "'a' has -4 bytes|described wrongly"),
        ({"a": tensor(0, 4, [2])}, 4, r"'a' has 4 bytes; U8 of shape"),
        ({"a": tensor(0, 4, dtype="F32")}, 4, "'a' has 4 bytes; F32 of shape"),
        ({"a": tensor(0, 4, [2**32, 2**32])}, 4, "'a' has 4 bytes"),
        ({"a": tensor(0, 0, [2**62, 2])}, 0, "'a' has 0 bytes"),
        ({"a": tensor(0, 0, [0, 2**64 - 1])}, 0, "'a' is described wrongly"),
        ({"a": tensor(0, 4, [-4])}, 4, "'a' is described wrongly"),
        ({"a": tensor(0, 4, [4.0])}, 4, "'a' is described wrongly"),
        ({"a": tensor(0, 4, [True, 4])}, 4, "'a' is described wrongly"),
        ({"a": tensor(0, 1, {})}, 1, "'a' is described wrongly"),
        ({"a": tensor(0, 4, "4")}, 4, "'a' is described wrongly"),
        ({"a": tensor(0, 1, [1] * 65)}, 1, "'a' is described wrongly"),
        ({"a": tensor(0, 4, dtype="F33")}, 4, "'a' is described wrongly"),
        ({"a": tensor(0, 4, dtype=["U8"])}, 4, "'a' is described wrongly"),
        ({"a": tensor(0, 4, more=1)}, 4, "'a' is described wrongly"),
        ({"a": {"dtype": "U8", "shape": [1]}}, 1, "'a' is described wrongly"),
        ({"a": [1]}, 0, "'a' is described wrongly"),
        ({"a\nb\x1b[31m": 3}, 0, r"'a\\nb\\x1b\[31m' is described wrongly"),
        ([], 0, "is no safetensors file"),
        (b"{not json", 0, "its header is no JSON"),
        (b'{"\xff": 1}', 0, "its header is no JSON"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 0, "its header is no JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", 0, "its header is no JSON"),
        (b'{"a": 1, "a": 2}', 0, "'a' is described wrongly|stands there twice"),
    ],
)
def test_a_header_that_lies_is_refused(header: object, data: int, message: str) -> None:
    """Before any tensor is made; odd names are shown escaped."""
    if isinstance(header, dict):
        header = {"__metadata__": METADATA, **header}
    with pytest.raises(WeightsError, match=message):
        parse(file(header, bytes(data)), "f")


def test_a_name_that_stands_twice_is_refused() -> None:
    """Python's JSON would keep the last one silently."""
    one = json.dumps(tensor(0, 1))
    text = f'{{"__metadata__": {json.dumps(METADATA)}, "a": {one}, "a": {one}}}'.encode()
    with pytest.raises(WeightsError, match="the tensor 'a' stands there twice"):
        parse(file(text, b"x"), "f")
    meta = json.dumps(METADATA)
    with pytest.raises(WeightsError, match="its metadata stands there twice"):
        parse(file(f'{{"__metadata__": {meta}, "__metadata__": {meta}}}'.encode()), "f")


def test_a_header_longer_than_the_file_is_refused() -> None:
    """A file that was cut off in its header."""
    with pytest.raises(WeightsError, match="is cut off: 10 bytes, in the middle of its header"):
        parse((1000).to_bytes(8, "little") + b"{}", "f")


def test_more_tensors_than_any_model_has_are_refused() -> None:
    """The metadata is none of them."""
    header = {f"t{n}": tensor(0, 0, [0]) for n in range(20_000)}
    assert len(parse(file({"__metadata__": METADATA, **header}), "f").entries) == 20_000
    header["one more"] = tensor(0, 0, [0])
    with pytest.raises(WeightsError, match="it names 20001 tensors; at most 20000 are read"):
        parse(file({"__metadata__": METADATA, **header}), "f")


def test_a_shape_of_many_huge_axes_costs_no_time() -> None:
    """Its product would have millions of digits."""
    text = json.dumps({"__metadata__": METADATA, "a": tensor(0, 1, [2**62] * 400_000)})
    begin = time.process_time()
    with pytest.raises(WeightsError, match="'a' is described wrongly"):
        parse(file(text.encode(), b"x"), "f")
    assert time.process_time() - begin < 20  # it was minutes


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "carries no spec: it was not written by zoo.save"),
        ({"format": "pt"}, "carries no spec"),
        ({"zoo": 3}, "carries no spec"),
        ({"zoo": "{"}, "its spec is no JSON"),
        ({"zoo": "[" * 100_000}, "its spec is no JSON"),
        ({"zoo": "[]"}, "has no 'format' and 'spec'"),
        ({"zoo": '{"format": 1}'}, "has no 'format' and 'spec'"),
        ({"zoo": '{"format": "1", "spec": {}}'}, "has no 'format' and 'spec'"),
        ({"zoo": '{"format": 2, "spec": {}}'}, "has format 2; this version reads up to 1. Upgrade"),
        ("text", "carries no spec"),
    ],
)
def test_a_file_without_a_spec_of_ours_is_refused(metadata: object, message: str) -> None:
    """And a newer format asks for an upgrade."""
    header = {} if metadata is None else {"__metadata__": metadata}
    with pytest.raises(WeightsError, match=message):
        parse(file(header), "f")


def test_a_spec_that_cannot_be_read_is_a_fault_of_the_file() -> None:
    """Not of the user, who gave none."""
    bad = {"zoo": json.dumps({"format": 1, "spec": {"backbon": "b"}})}
    with pytest.raises(
        WeightsError, match="f carries a spec that cannot be read: spec: unknown field"
    ):
        _ = parse(file({"__metadata__": bad}), "f").spec


@pytest.mark.parametrize("pretrained", [True, "/etc/passwd", "https://example.org/weights"])
def test_a_file_cannot_ask_for_other_weights(pretrained: object) -> None:
    """The spec inside is built without them, whatever it says."""
    spec = {"backbone": {"name": "attn_cnn", "pretrained": pretrained}}
    content = file({"__metadata__": {"zoo": json.dumps({"format": 1, "spec": spec})}})
    assert parse(content, "f").spec.backbone.pretrained is False


def test_truncation_at_every_boundary_is_refused(content: bytes) -> None:
    """In the length, in the header, at each tensor's end, and one byte before the end."""
    header = int.from_bytes(content[:8], "little")
    ends = [entry.end for entry in parse(content, "f").entries.values()]
    lengths = {0, 1, 7, 8, 9, 8 + header // 2, 8 + header - 1, len(content) - 1}
    lengths |= {8 + header + end + shift for end in ends for shift in (-1, 0, 1)}
    for length in sorted(lengths - {len(content), len(content) + 1}):
        with pytest.raises(WeightsError, match=r"is cut off|is no safetensors file"):
            parse(content[:length], "f")


def test_trailing_bytes_are_refused(content: bytes) -> None:
    """A polyglot hides behind them."""
    with pytest.raises(WeightsError, match="has bytes that belong to no tensor"):
        parse(content + b"PK", "f")


def test_only_the_header_is_read_until_tensors_are_asked_for(
    content: bytes, tmp_path: Path
) -> None:
    """What is behind it may be long."""
    path = _written(tmp_path, content)
    with opened(path) as read, mock.patch("zoo.weights.read_exactly", side_effect=AssertionError):
        assert read.metadata == parse(content, "f").metadata
        assert read.entries == parse(content, "f").entries
    with opened(path) as read:
        assert _data(read) == _data(parse(content, "f")) == content[-read.size :]


def test_an_honest_terabyte_is_refused_by_its_spec(tmp_path: Path) -> None:
    """Its one tensor is compared with those of the model before it is read."""
    size = 2**40
    header = {"__metadata__": METADATA, "a": tensor(0, size)}
    path = _written(tmp_path, file(header))
    with open(path, "ab") as longer:
        longer.truncate(longer.tell() + size)
    with pytest.raises(WeightsError, match="holds another model than its spec says: it lacks"):
        zoo.load(path)


def test_a_file_that_is_cut_while_it_is_open_is_refused(content: bytes, tmp_path: Path) -> None:
    """Between its header and its tensors."""
    path = _written(tmp_path, content)
    with opened(path) as read:
        os.truncate(path, len(content) - 1)
        with pytest.raises(WeightsError, match="became shorter while it was read"):
            _data(read)


def test_a_file_is_read_straight_into_its_tensors(tmp_path: Path) -> None:
    """Its bytes are nowhere else in memory."""
    head = {"name": "avg", "hidden": [1000, 1000]}
    model = zoo.compose({"name": "attn_cnn", "widths": [8], "depths": 1}, head=head)
    path = zoo.save(model, tmp_path / "m.safetensors")
    size = path.stat().st_size
    tracemalloc.start()
    again = zoo.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 4_000_000
    assert peak < size / 10  # tensors are not in it
    assert to_bytes(again, again.plan) == path.read_bytes()


def test_the_tensors_of_another_model_are_refused(model: Model, content: bytes) -> None:
    """Names, shapes and dtypes must be exactly those of the spec."""
    other = zoo.compose({"name": "attn_cnn", "widths": [4, 8], "depths": 1}, num_classes=2)
    with pytest.raises(
        WeightsError, match=r"holds another model than its spec says: .*it has besides"
    ):
        load_into(other, parse(content, "f"))
    with pytest.raises(WeightsError, match=r"it lacks \d+ tensors, e\.g\. '"):
        load_into(model, parse(to_bytes(other, other.plan), "f"))
    wider = zoo.compose(model.spec)
    wider.reset_classifier(3)
    with pytest.raises(
        WeightsError, match=r"'classifier.bias' is \('F32', \(2,\)\), expected \('F32', \(3,\)"
    ):
        load_into(wider, parse(content, "f"))


def test_a_failed_load_changes_nothing(model: Model, content: bytes) -> None:
    """All names are compared before the first tensor is given."""
    wider = zoo.compose(model.spec)
    wider.reset_classifier(3)
    before = {name: value.clone() for name, value in wider.state_dict().items()}
    with pytest.raises(WeightsError, match="holds another model"):
        load_into(wider, parse(content, "f"))
    assert all(torch.equal(value, before[name]) for name, value in wider.state_dict().items())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_random_flips_are_refused_or_load_the_same_tensors(
    model: Model, content: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    """Flips of bytes anywhere before the data; those in the data are what digests are for."""
    size = 8 + int.from_bytes(content[:8], "little")
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, size - 1))] = data.draw(st.integers(0, 255))
    path = _written(tmp_path, bytes(damaged))
    try:
        parse(bytes(damaged), "f").spec  # noqa: B018 - what it raises is the point
        again = zoo.load(path)
    except WeightsError:
        return
    except ZooError:  # the spec asks for something else
        return
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


class Tied(nn.Module):
    """An attention whose one parameter stands under two names."""

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(channels, *[1] * ndim))
        self.second = self.first

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scale twice."""
        return x * self.first * self.second


def test_a_parameter_under_two_names_stays_one(own_catalog: None, tmp_path: Path) -> None:
    """Training a loaded model moves both names together."""
    zoo.attention("tied", family="channel")(Tied)
    model = zoo.compose("attn_cnn", {"name": "tied", "slot": "last"}, num_classes=2)
    again = zoo.load(zoo.save(model, tmp_path / "m.safetensors"))
    assert again.last.first is again.last.second
    assert torch.equal(again.last.first, model.last.first)


@pytest.mark.parametrize("end", ["pt", "pth", "bin", "ckpt", "onnx", "h5", "PT", "yaml"])
def test_a_name_that_means_another_format_is_refused(
    model: Model, tmp_path: Path, end: str
) -> None:
    """Whoever opens the file would take it for that; the right name is told."""
    right = re.escape(str(tmp_path / "m.v2.safetensors"))
    with pytest.raises(InvalidValue, match=rf"\.{end} means another format\. Save as {right}\."):
        zoo.save(model, tmp_path / f"m.v2.{end}")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["m.safetensors", "m", "m-1.0", "m.zoo"])
def test_any_other_name_is_taken_as_it_is(model: Model, tmp_path: Path, name: str) -> None:
    """A file is told by its content, so it loads whatever it is called."""
    assert zoo.save(model, tmp_path / name) == tmp_path / name
    assert os.listdir(tmp_path) == [name]
    assert zoo.load(tmp_path / name).spec == model.spec


def test_what_could_not_be_loaded_again_is_not_saved(model: Model, tmp_path: Path) -> None:
    """Another precision, and a layer that was changed by hand."""
    half = zoo.compose(model.spec).half()
    with pytest.raises(InvalidValue, match=r"could not be loaded again: .*'F16'.*model\.float"):
        zoo.save(half, tmp_path / "m.safetensors")
    changed = zoo.compose(model.spec)
    changed.classifier = nn.Linear(8, 7)
    with pytest.raises(InvalidValue, match=r"could not be loaded again: .*reset_classifier"):
        zoo.save(changed, tmp_path / "m.safetensors")
    assert list(tmp_path.glob("*.safetensors")) == []


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, torch.zeros(1)])
@pytest.mark.parametrize("field", ["recipe", "provenance"])
def test_only_plain_data_is_kept_beside_the_weights(
    model: Model, tmp_path: Path, field: str, value: Any
) -> None:
    """And nothing is written otherwise."""
    with pytest.raises(InvalidValue, match=f"{field}: only plain data with finite numbers"):
        zoo.save(model, tmp_path / "m.safetensors", **{field: {"a": value}})
    assert list(tmp_path.glob("*.safetensors")) == []


def test_tensors_of_a_dtype_without_place_in_a_file_are_refused(model: Model) -> None:
    """By name."""
    odd = zoo.compose(model.spec)
    odd.register_buffer("phase", torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(
        InvalidValue, match=r"The tensor 'phase' is of torch.complex64; a file holds"
    ):
        to_bytes(odd, odd.plan)


@pytest.mark.parametrize("spaces", [0, 3, 8])
def test_tensors_lie_as_torch_lays_them_wherever_they_were(content: bytes, spaces: int) -> None:
    """The format allows any length of header, and products add in another order where memory is not aligned."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    shifted = bytearray(file(json.dumps(header).encode() + b" " * spaces, b""))
    shifted = bytearray(bytes(shifted) + content[8 + int.from_bytes(content[:8], "little") :])
    read = parse(shifted, "f")
    again = zoo.compose(read.spec)
    load_into(again, read)
    assert {value.data_ptr() % 64 for value in again.state_dict().values()} == {0}
    assert to_bytes(again, again.plan) == content


def test_the_interface_is_equal_for_files_that_can_be_exchanged(model: Model) -> None:
    """Other numbers, same interface; other classes, another."""
    other = zoo.compose(model.spec)
    assert interface(other) == interface(model)
    other.reset_classifier(5)
    assert interface(other) != interface(model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_tensor_that_is_not_finite_is_found(model: Model, value: float) -> None:
    """By name; a healthy model has none."""
    other = zoo.compose(model.spec)
    assert not_finite(other) is None
    with torch.no_grad():
        other.classifier.bias[1] = value
    assert not_finite(other) == "classifier.bias"


def test_a_tensor_that_memory_has_no_room_for_is_refused(model: Model, content: bytes) -> None:
    """The message says how large it is."""
    again, read = zoo.compose(model.spec), parse(content, "f")
    with (
        mock.patch("torch.empty", side_effect=RuntimeError("can't allocate memory")),
        pytest.raises(WeightsError, match=r"^f: there is no memory for a tensor of \d+ bytes\.$"),
    ):
        load_into(again, read)


def test_a_default_device_does_not_matter(model: Model, tmp_path: Path) -> None:
    """Files are read into the memory of the CPU; the model can be moved from there."""
    path = zoo.save(model, tmp_path / "m.safetensors")
    with torch.device("meta"):
        again = zoo.load(path)
    assert to_bytes(again, again.plan) == path.read_bytes()


def test_a_header_that_is_nested_deeply_is_refused() -> None:
    """It is not written out in the message, which Python would do by recursion."""
    nested = "{" + '"a":{' * 400 + "}" * 400 + "}"
    with pytest.raises(WeightsError, match="tensor 't' is described wrongly"):
        parse(
            file(
                json.dumps({"__metadata__": METADATA})[:-1].encode()
                + b',"t":{"dtype":'
                + nested.encode()
                + b"}}"
            ),
            "f",
        )


def test_what_would_be_refused_when_it_is_read_is_not_written(model: Model) -> None:
    """A header may have 16 MiB."""
    with pytest.raises(InvalidValue, match=r"could not be loaded again\. It: its header claims"):
        to_bytes(model, model.plan, {"provenance": {"notes": "-" * 17 * 2**20}})


def _data(read: WeightsFile) -> bytes:
    memory = bytearray(read.size)
    read.read_into(0, memoryview(memory))
    return bytes(memory)


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "m.safetensors"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("length", [0, 1])
def test_a_header_of_no_length_is_refused(tmp_path: Path, length: int) -> None:
    """From a file as from memory."""
    content = length.to_bytes(8, "little") + b"{}" + bytes(20)
    with pytest.raises(WeightsError, match=f"its header has {length} bytes"):
        parse(content, "it")
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"its header has {length} bytes"):
        zoo.load(path)


@pytest.mark.parametrize("field", ["metrics", "recipe", "provenance"])
def test_what_is_kept_with_a_model_has_names(model: Model, tmp_path: Path, field: str) -> None:
    """A bare figure says nothing."""
    with pytest.raises(InvalidValue, match=f"{field} is 0.93; give a mapping"):
        zoo.save(model, tmp_path / "m.safetensors", **{field: 0.93})
    assert not any(tmp_path.iterdir())

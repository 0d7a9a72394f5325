"""Models as safetensors files, with the spec inside.

One metadata key, `zoo`, holds canonical JSON: the format's number, the spec, and which distributions its
components came from. A file is told by its content and checked before any tensor is made: nothing in
it is ever executed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn

from zoo.errors import InvalidSpec, InvalidValue, WeightsError, counted
from zoo.files import fill, open_to_read, read_exactly, write_atomically
from zoo.spec import Plan, Spec

FORMAT = 1
METADATA_KEY = "zoo"
HEADER_LIMIT = 16 * 2**20
TENSOR_LIMIT = 20_000  # the deepest networks have some thousands
AXES_LIMIT = 64

# Ends of names by which people and programs know other formats, and would take a file for one of them.
_OTHER_FORMATS = {
    ".bin", ".ckpt", ".gguf", ".h5", ".hdf5", ".joblib", ".json", ".keras", ".mlmodel", ".npy", ".npz", ".onnx",
    ".pb", ".pickle", ".pkl", ".pt", ".pt2", ".pth", ".tflite", ".yaml", ".yml", ".zip",
}  # fmt: skip

_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class Entry(NamedTuple):
    """A tensor in a file: its dtype and shape, and where its bytes are behind the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class WeightsFile(NamedTuple):
    """A safetensors file whose header was read and found well-formed.

    Attributes:
        source: Where it came from, for messages.
        metadata: What stands under the metadata key `zoo`.
        entries: Its tensors by name.
        size: How many bytes of tensors stand behind the header.
        read_into: Fills memory with the bytes that begin at an offset behind the header.
    """

    source: str
    metadata: dict[str, Any]
    entries: dict[str, Entry]
    size: int
    read_into: Callable[[int, memoryview], None]

    @property
    def spec(self) -> Spec:
        """The spec that the file carries.

        The file holds all weights. Whatever it says, building from it fetches and opens no others.

        Raises:
            WeightsError: It is none.
        """
        try:
            spec = Spec.from_data(self.metadata["spec"], where="spec")
        except InvalidSpec as error:
            raise WeightsError(
                f"{self.source} carries a spec that cannot be read: {error}"
            ) from error
        return without_pretrained(spec)


def to_bytes(model: nn.Module, plan: Plan, extra: Mapping[str, Any] | None = None) -> bytes:
    """Return a model as the bytes of a safetensors file.

    The same model gives the same bytes, and so the same digest.

    Args:
        model: The model; its parameters and buffers are saved.
        plan: What it was composed from.
        extra: Further plain data to keep with it, e.g. `metrics` and `recipe`.

    Raises:
        InvalidValue: `extra` is not plain data, a tensor's dtype has no place in a file, or the file could not be
            loaded again.
    """
    from safetensors.torch import save

    metadata = {
        "format": FORMAT,
        "spec": without_pretrained(plan.spec).to_data(),
        "components": {
            component.title: [component.distribution, component.version]
            for component in plan.components
        },
        **(extra or {}),
    }
    try:
        text = json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        names = ", ".join(extra or {})
        raise InvalidValue(
            f"{names}: only plain data with finite numbers can be kept in a file: {error}."
        ) from error
    state = model.state_dict()
    seen: dict[int, str] = {}
    tensors = {}
    for name, tensor in state.items():
        if tensor.dtype not in _DTYPE_NAMES:
            raise InvalidValue(
                f"The tensor {name!r} is of {tensor.dtype}; a file holds {', '.join(_DTYPES)}."
            )
        if tensor.is_meta:
            raise InvalidValue(
                f"The tensor {name!r} has no values: it is on the device 'meta'. Give it some first, e.g. by "
                "model.to_empty(device='cpu') and load_state_dict."
            )
        # A tensor that stands under two names is written twice: each name must load by itself.
        shared = seen.setdefault(tensor.untyped_storage().data_ptr(), name) != name
        tensors[name] = tensor.detach().cpu().contiguous()
        if shared or tensors[name].untyped_storage().nbytes() != tensors[name].nbytes:
            tensors[name] = tensors[name].clone(memory_format=torch.contiguous_format)
    content = bytes(save(tensors, {METADATA_KEY: text}))
    try:
        parse(content, "It").spec  # noqa: B018 - what it raises is the point
    except WeightsError as error:
        raise InvalidValue(f"The model's file could not be loaded again. {error}") from None
    return content


def save_model(
    model: nn.Module, plan: Plan, path: Path, extra: Mapping[str, Any] | None = None
) -> Path:
    """Write a model to `path` whole or not at all; see `to_bytes`.

    Raises:
        InvalidValue: The end of `path` means another format.
    """
    if path.suffix.lower() in _OTHER_FORMATS:
        raise InvalidValue(
            f"{path} would hold safetensors, and {path.suffix} means another format. Save as "
            f"{path.with_suffix('.safetensors')}."
        )
    write_atomically(path, to_bytes(model, plan, extra))
    return path


def parse(content: bytes | bytearray, source: str) -> WeightsFile:
    """Read the bytes of a file of ours, and check all that can be checked without a model.

    Raises:
        WeightsError: It is not a safetensors file, is cut off, contradicts itself, or has no spec inside.
    """
    begin = _data_begin(bytes(content[:9]), len(content), source)
    metadata, entries = _header(bytes(content[8:begin]), len(content) - begin, source)
    data = memoryview(content)[begin:]

    def read_into(offset: int, memory: memoryview) -> None:
        memory[:] = data[offset : offset + len(memory)]

    return WeightsFile(source, metadata, entries, len(data), read_into)


@contextmanager
def opened(path: Path) -> Iterator[WeightsFile]:
    """Open a file of ours and check its header; its tensors are read when they are asked for.

    Raises:
        WeightsError: As in `parse`; or it cannot be read.
    """
    source = str(path)
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = read_exactly(file, min(9, size), source)
        begin = _data_begin(bytes(start), size, source)
        text = start[8:] + read_exactly(file, begin - len(start), source)
        metadata, entries = _header(bytes(text), size - begin, source)

        def read_into(offset: int, memory: memoryview) -> None:
            file.seek(begin + offset)
            fill(memory, file, source)

        yield WeightsFile(source, metadata, entries, size - begin, read_into)


def _header(text: bytes, size: int, source: str) -> tuple[dict[str, Any], dict[str, Entry]]:
    """Read the header of a file with so many bytes of tensors: the metadata, and the tensors by name."""
    header = _pairs(text, source)
    entries: dict[str, Entry] = {}
    metadata = None
    for name, value in header:
        if name == "__metadata__":
            if metadata is not None:
                raise WeightsError(f"{source}: its metadata stands there twice.")
            metadata = value.get(METADATA_KEY) if isinstance(value, dict) else None
        elif name in entries:
            raise WeightsError(f"{source}: the tensor {name!r:.80} stands there twice.")
        else:
            entries[name] = _entry(name, value, source)
    _check_layout(entries, size, source)
    return _metadata(metadata, source), entries


def load_into(model: nn.Module, file: WeightsFile) -> None:
    """Give the model the tensors of a file.

    Raises:
        WeightsError: Names, shapes or dtypes are not exactly those of the model.
    """
    expected = _described(model)
    found = {name: (entry.dtype, entry.shape) for name, entry in file.entries.items()}
    if expected != found:
        raise WeightsError(
            f"{file.source} holds another model than its spec says: {_difference(expected, found)}"
        )
    loaded: dict[int, Tensor] = {}
    tensors = {}
    for name, there in model.state_dict(keep_vars=True).items():
        # A parameter that the model has under two names stays one parameter.
        if id(there) not in loaded:
            tensor = _tensor(file.entries[name], file)
            trained = isinstance(there, nn.Parameter)
            loaded[id(there)] = nn.Parameter(tensor, there.requires_grad) if trained else tensor
        tensors[name] = loaded[id(there)]
    model.load_state_dict(tensors, assign=True)


def check_fits(model: nn.Module, fresh: nn.Module) -> None:
    """Check that a model's tensors are those of one that was built afresh from its plan.

    Raises:
        InvalidValue: They are not: its file could not be loaded again.
    """
    expected, found = _described(fresh), _described(model)
    if expected != found:
        raise InvalidValue(
            "The model was changed since it was composed, so that its file could not be loaded again: "
            f"{_difference(expected, found)} Give weights their dtype back (model.float()), and set classes "
            "with reset_classifier."
        )


def _described(model: nn.Module) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        name: (_DTYPE_NAMES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape))
        for name, tensor in model.state_dict().items()
    }


def interface(model: nn.Module) -> str:
    """The digest of the sorted list of tensor name, dtype and shape: equal for files that can be exchanged."""
    import hashlib

    rows = sorted(
        [n, _DTYPE_NAMES.get(t.dtype, str(t.dtype)), list(t.shape)]
        for n, t in model.state_dict().items()
    )
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def not_finite(model: nn.Module) -> str | None:
    """The name of a tensor that holds NaN or infinity; None if there is none."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None


def without_pretrained(spec: Spec) -> Spec:
    """The spec of a model whose weights all come from a file of ours: none are fetched for its backbone."""
    from msgspec.structs import replace

    return replace(spec, backbone=replace(spec.backbone, pretrained=False))


def _data_begin(start: bytes, size: int, source: str) -> int:
    """Where in a file of `size` bytes the tensors begin, by its first 9 bytes."""
    if size < 9:
        raise WeightsError(f"{source} is no safetensors file, or is cut off: it has {size} bytes.")
    # Told by the ninth: the first ones are a length, which can look like anything.
    if start[8:] != b"{":
        if start[:2] == b"PK" or start[:1] == b"\x80":
            raise WeightsError(
                f"{source} is a pickle (a torch.save file), whatever its name says. It is not opened, "
                "because a pickle can run code. Save the model again with zoo.save."
            )
        raise WeightsError(f"{source} is no safetensors file.")
    length = int.from_bytes(start[:8], "little")
    if length > HEADER_LIMIT:
        raise WeightsError(
            f"{source}: its header claims {length} bytes; at most {HEADER_LIMIT} are read."
        )
    if length < 2:  # not even `{}`
        raise WeightsError(f"{source} is no safetensors file: its header has {length} bytes.")
    if size < 8 + length:
        raise WeightsError(f"{source} is cut off: {size} bytes, in the middle of its header.")
    return 8 + length


def _pairs(text: bytes, source: str) -> list[tuple[str, Any]]:
    """The header as (name, value) pairs in order."""
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{source}: its header is no JSON: {error}.") from None
    if not isinstance(header, _Pairs):
        raise WeightsError(f"{source}: its header is no list of tensors.")
    tensors = sum(name != "__metadata__" for name, _ in header)
    if tensors > TENSOR_LIMIT:
        raise WeightsError(
            f"{source}: it names {tensors} tensors; at most {TENSOR_LIMIT} are read."
        )
    return [(name, dict(value) if isinstance(value, _Pairs) else value) for name, value in header]


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a name that stands twice is seen."""


def _entry(name: str, value: Any, source: str) -> Entry:
    fields = value if isinstance(value, dict) else {}
    dtype, shape, offsets = (fields.get(field) for field in ("dtype", "shape", "data_offsets"))
    known = isinstance(dtype, str) and dtype in _DTYPES and len(fields) == 3
    if not known or not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        raise WeightsError(
            f"{source}: tensor {name!r:.80} is described wrongly: {_shown(value)!r:.120}."
        )
    entry = Entry(str(dtype), tuple(shape), *offsets)
    size = math.prod(entry.shape) * _DTYPES[entry.dtype].itemsize
    if entry.end - entry.begin != size:
        raise WeightsError(
            f"{source}: tensor {name!r:.80} has {entry.end - entry.begin} bytes; {dtype} of shape "
            f"{shape} has {size}."
        )
    return entry


def _shown(value: Any) -> Any:
    """What a message shows of a value: nothing that is nested, which Python writes by recursion, to a depth."""
    if isinstance(value, dict):
        return {name: _shown(one) for name, one in value.items() if not isinstance(one, dict)}
    return value if isinstance(value, str | int | float | None) or _naturals(value) else "..."


def _naturals(value: Any) -> TypeGuard[list[int]]:
    return (
        type(value) is list
        and len(value) <= AXES_LIMIT
        and all(type(item) is int and 0 <= item < 2**63 for item in value)
    )


def _check_layout(entries: dict[str, Entry], size: int, source: str) -> None:
    """Check that the tensors cover the data exactly once."""
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != position:
            raise WeightsError(
                f"{source}: tensor {name!r:.80} begins at byte {entry.begin}, expected {position}."
            )
        position = entry.end
    if position != size:
        what = "is cut off" if size < position else "has bytes that belong to no tensor"
        raise WeightsError(f"{source} {what}: {size} bytes of data, its tensors take {position}.")


def _metadata(text: Any, source: str) -> dict[str, Any]:
    if not isinstance(text, str):
        raise WeightsError(
            f"{source} carries no spec: it was not written by zoo.save, so it cannot say its model."
        )
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{source}: its spec is no JSON: {error}.") from None
    if (
        not isinstance(metadata, dict)
        or "spec" not in metadata
        or type(metadata.get("format")) is not int
    ):
        raise WeightsError(f"{source}: its metadata {text[:120]!r} has no 'format' and 'spec'.")
    if metadata["format"] > FORMAT:
        raise WeightsError(
            f"{source} has format {metadata['format']}; this version reads up to {FORMAT}. Upgrade attn-zoo."
        )
    return metadata


def _tensor(entry: Entry, file: WeightsFile) -> Tensor:
    """Read a tensor, which may begin at any byte of a file, into memory that torch aligns.

    Libraries of linear algebra add in another order where memory is not aligned, and the last bits differ: on some
    processors a model that was loaded would not give what the saved one gave.
    """
    try:
        tensor = torch.empty(entry.shape, dtype=_DTYPES[entry.dtype], device="cpu")
    except RuntimeError:
        raise WeightsError(
            f"{file.source}: there is no memory for a tensor of {entry.end - entry.begin} bytes."
        ) from None
    file.read_into(entry.begin, tensor.view(-1).view(torch.uint8).numpy().data)
    return tensor


def _difference(expected: Mapping[str, object], found: Mapping[str, object]) -> str:
    missing, surplus = (
        sorted(expected.keys() - found.keys()),
        sorted(found.keys() - expected.keys()),
    )
    if missing or surplus:
        parts = [("lacks", missing), ("has besides", surplus)]
        return (
            "; ".join(
                f"it {verb} {counted(len(names), 'tensor')}, e.g. {names[0]!r:.120}"
                for verb, names in parts
                if names
            )
            + "."
        )
    name = next(name for name in sorted(expected) if expected[name] != found[name])
    return f"{name!r:.120} is {found[name]}, expected {expected[name]}."

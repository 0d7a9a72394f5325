"""The frozen types of the road: Spec, Version, Plan. Pure data; a Plan holds components for names.

In files a component's own options stand beside the words of the core:
`{name: cbam, slot: branch, reduction: 8}`. Here they are apart: `options={"reduction": 8}`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

from zoo.component import Component
from zoo.errors import InvalidSpec, near_misses
from zoo.refs import ExactRef

Data = dict[str, Any]

HIGHEST_RATE = 1_000_000  # Hz, of sounds: beyond what is recorded of bats and machines


class ImageInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An image (N, channels, H, W), scaled to [0, 1] and then normalised by `mean` and `std`.

    `size` is (H, W) in pixels; None means that images are taken as they are.
    `crop` is the share of the resized image's side that the centre crop keeps.
    """

    channels: int
    kind: Literal["image"] = "image"
    size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    crop: float = 1.0


class SequenceInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sequence of vectors (N, channels, L), e.g. a multi-channel signal, taken as it is."""

    channels: int
    kind: Literal["sequence"] = "sequence"


class AudioInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A waveform (N, channels, samples) in [-1, 1] at `sample_rate` Hz, up to a million.

    `seconds`: longer clips are cut around their middle; None takes clips as they are.
    """

    sample_rate: int
    kind: Literal["audio"] = "audio"
    channels: int = 1
    seconds: float | None = None

    @property
    def length(self) -> int | None:
        """The most samples of a channel, at least one; None takes clips as they are."""
        return None if self.seconds is None else max(1, round(self.seconds * self.sample_rate))


class TextInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Token numbers (N, L): 0 is padding, 1 any unknown token, then the vocabulary in its order.

    The vocabulary itself is a tensor of the model, `vocabulary_bytes` long; the spec has its size only.
    `length`: longer texts are cut to so many tokens; None takes all.
    """

    vocabulary_size: int
    vocabulary_bytes: int
    kind: Literal["text"] = "text"
    lower: bool = True
    length: int | None = None

    @property
    def channels(self) -> int:
        """How many token numbers there are, padding and unknown included."""
        return self.vocabulary_size + 2


Input = ImageInput | SequenceInput | AudioInput | TextInput
_INPUTS: dict[str, type[Input]] = {
    "image": ImageInput,
    "sequence": SequenceInput,
    "audio": AudioInput,
    "text": TextInput,
}
# Axes behind batch and channels; text has neither channels nor a second axis, it is (N, L).
INPUT_AXES = {
    "image": ("channels", "height", "width"),
    "sequence": ("channels", "length"),
    "audio": ("channels", "samples"),
    "text": ("length",),
}


SlotKind = Literal["branch", "block", "stage", "last", "conv"]
SLOTS: tuple[SlotKind, ...] = get_args(SlotKind)
# The words that fields take, for near misses; `kind` is looked up in `_INPUTS`.
_WORDS = {
    "slot": SLOTS,
    "start": ("default", "identity"),
    "blocks": ("all", "first", "last"),
    "interpolation": ("nearest", "bilinear", "bicubic"),
}


class BackboneSpec(Struct, frozen=True, kw_only=True):
    """Which backbone. `pretrained`: whether, or from which file, it gets weights of its own first."""

    name: str
    pretrained: bool | str = False
    options: Data = {}


class Placement(Struct, frozen=True, kw_only=True):
    """Which attention stands in which slots.

    `stages` counts from 1, negative from the end; None means all. `blocks` picks blocks within each
    stage: `all`, `first`, `last`, every n-th (`{"every": n}`), or a list counted likewise.
    `start="identity"` wraps it so that the model's output does not change until it is trained.
    """

    name: str
    slot: SlotKind
    stages: tuple[int, ...] | None = None
    blocks: Literal["all", "first", "last"] | dict[Literal["every"], int] | tuple[int, ...] = "all"
    start: Literal["default", "identity"] = "default"
    options: Data = {}


class HeadSpec(Struct, frozen=True, kw_only=True):
    """Which pooling head; then dense layers of `hidden` widths with ReLU, and dropout before the classifier."""

    name: str
    dropout: float = 0.0
    hidden: tuple[int, ...] = ()
    options: Data = {}


class Output(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Class scores: `num_classes` of them, with names for people in `labels`. 0 classes: the pooled features."""

    kind: Literal["classes"] = "classes"
    num_classes: int | None = None
    labels: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """Number of classes, from whichever of the two fields says it."""
        return len(self.labels) if self.labels is not None else self.num_classes or 0


class Spec(Struct, frozen=True, kw_only=True):
    """Which components, in which slots, with which options, for which input and output."""

    input: Input
    backbone: BackboneSpec
    attention: tuple[Placement, ...] = ()
    head: HeadSpec = HeadSpec(name="avg")
    output: Output = Output()

    @classmethod
    def from_data(cls, data: object, *, where: str = "spec") -> Spec:
        """Read a spec from plain data, as it stands in a registry or in a weights file.

        Args:
            data: Mappings, lists, texts and numbers.
            where: Where the data came from, for messages.

        Raises:
            InvalidSpec: A field is unknown, missing, or of the wrong type or range.
        """
        fields = _mapping(data, where)
        _known(fields, ("input", "backbone", "attention", "head", "output"), where)
        if "backbone" not in fields:
            raise InvalidSpec(
                f"{where}: there is no 'backbone'. A spec needs one, e.g. 'backbone: {{name: attn_cnn}}'."
            )
        placements = fields.get("attention", [])
        if placements is None:
            placements = []
        if not isinstance(placements, Sequence) or isinstance(placements, str | bytes):
            placements = [placements]
        spec = cls(
            input=_read_input(
                fields.get("input", {"kind": "image", "channels": 3}), f"{where}.input"
            ),
            backbone=_read_block(fields["backbone"], BackboneSpec, f"{where}.backbone"),
            attention=tuple(
                _read_block(block, Placement, f"{where}.attention[{number}]")
                for number, block in enumerate(placements)
            ),
            head=_read_block(fields.get("head", "avg"), HeadSpec, f"{where}.head"),
            output=_convert(
                _mapping(fields.get("output", {}), f"{where}.output"), Output, f"{where}.output"
            ),
        )
        _check(spec, where)
        if spec.output.labels is not None:  # they say the number
            spec = msgspec.structs.replace(spec, output=Output(labels=spec.output.labels))
        return spec

    def to_data(self) -> Data:
        """The spec as plain data that `from_data` reads back to an equal spec. Defaults are left out."""
        return {
            "input": {"kind": self.input.kind, **_without_defaults(self.input)},
            "backbone": _without_defaults(self.backbone),
            **(
                {"attention": [_without_defaults(block) for block in self.attention]}
                if self.attention
                else {}
            ),
            "head": _without_defaults(self.head),
            "output": {"kind": self.output.kind, **_without_defaults(self.output)},
        }

    def to_json(self) -> str:
        """Canonical JSON: equal specs give equal text."""
        return json.dumps(self.to_data(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def components(self) -> list[tuple[str, str]]:
        """(kind, name) of every component named, in the order of the road, each once."""
        named = [("backbone", self.backbone.name)]
        named += [("attention", placement.name) for placement in self.attention]
        named.append(("head", self.head.name))
        return list(dict.fromkeys(named))


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """A blob by its digest. `size` is in bytes."""

    sha256: str
    size: int


class Version(Struct, frozen=True, kw_only=True):
    """One immutable release of a variant, as a registry has it."""

    ref: ExactRef
    summary: str
    spec: Spec
    weights: Weights | None = None
    params: int | None = None
    metrics: Data = {}
    recipe: Data = {}
    requires: dict[str, str] = {}
    license: str = ""
    provenance: Data = {}
    yanked: str | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """A spec with its names replaced by components. `attentions` runs beside `spec.attention`."""

    spec: Spec
    backbone: Component
    attentions: tuple[Component, ...]
    head: Component | None
    ref: ExactRef | None = None

    @property
    def components(self) -> tuple[Component, ...]:
        """All of them, in the order of the road."""
        return (self.backbone, *self.attentions, *([self.head] if self.head else []))


def _read_input(data: object, where: str) -> Input:
    fields = _mapping(data, where)
    kind = fields.get("kind", "image")
    if not isinstance(kind, str) or kind not in _INPUTS:
        raise InvalidSpec(f"{where}: kind {kind!r} is unknown. {near_misses(str(kind), _INPUTS)}")
    block: Input = _convert(fields, _INPUTS[kind], where)
    return block


def _read_block(data: object, struct: type[Any], where: str) -> Any:
    """Read a component's block: the core's own words into fields, everything else into `options`."""
    fields = dict(_mapping({"name": data} if isinstance(data, str) else data, where))
    own = {
        name: fields.pop(name)
        for name in struct.__struct_fields__
        if name != "options" and name in fields
    }
    for name in ("stages", "blocks"):  # `stages: 3` means `stages: [3]`
        if type(own.get(name)) is int:
            own[name] = [own[name]]
    if struct is Placement and "slot" not in own:
        raise InvalidSpec(
            f"{where}: {own.get('name', data)!r:.80} says no slot; give one of {', '.join(SLOTS)}."
        )
    block = _convert(own, struct, where)
    return msgspec.structs.replace(block, options=_plain(fields, where))


def _convert(fields: Mapping[str, Any], struct: type[Any], where: str) -> Any:
    _known(fields, struct.__struct_fields__, where)
    for name, value in fields.items():
        words = _WORDS.get(name, ())
        if words and isinstance(value, str) and value not in words:
            raise InvalidSpec(
                f"{where}.{name}: {value!r:.80} is unknown. {near_misses(value, words)}"
            )
    try:
        return msgspec.convert(fields, struct)
    except msgspec.ValidationError as error:
        message = str(error).replace(" - at `$", f" - at `{where}")
        raise InvalidSpec(f"{where}: {message}") from None


def _known(fields: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in fields:
        if name not in known:
            raise InvalidSpec(f"{where}: unknown field {name!r}. {near_misses(str(name), known)}")


def _mapping(data: object, where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
        raise InvalidSpec(f"{where}: expected fields with names, got {data!r:.80}.")
    return data


def _plain(value: Any, where: str) -> Any:
    """Return `value` as JSON would give it back, so that a spec equals what is read from its file."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except RecursionError:
        raise InvalidSpec(f"{where}: lists or mappings stand in each other too deeply.") from None
    except (TypeError, ValueError):
        raise InvalidSpec(
            f"{where}: {value!r:.120} is not plain data (texts, finite numbers, lists, mappings)."
        ) from None


def _check(spec: Spec, where: str) -> None:
    """Check what types alone do not say."""
    output, head = spec.output, spec.head
    counted = output.labels is None or output.num_classes in (None, len(output.labels))
    distinct = output.labels is None or len(set(output.labels)) == len(output.labels)
    classes = output.num_classes is None or output.num_classes >= 0
    rules = [
        *_input_rules(spec.input),
        (0.0 <= head.dropout < 1.0, "head.dropout", head.dropout, "in [0, 1)"),
        (all(n >= 1 for n in head.hidden), "head.hidden", head.hidden, "widths of at least 1"),
        (classes, "output.num_classes", output.num_classes, "at least 0"),
        (counted, "output.num_classes", output.num_classes, "the number of labels"),
        (distinct, "output.labels", output.labels, "without repeats"),
    ]
    for holds, field, value, rule in rules:
        if not holds:
            raise InvalidSpec(f"{where}.{field}: {value!r:.80} is not {rule}.")


def _input_rules(block: Input) -> list[tuple[bool, str, object, str]]:
    rules: list[tuple[bool, str, object, str]] = [
        (block.channels >= 1, "input.channels", block.channels, "at least 1")
    ]
    if isinstance(block, ImageInput):
        size = block.size is None or min(block.size) >= 1
        rules.append((size, "input.size", block.size, "of at least 1 pixel a side"))
        rules.append((0.0 < block.crop <= 1.0, "input.crop", block.crop, "in (0, 1]"))
        for name, values in (("mean", block.mean), ("std", block.std)):
            fits = values is None or len(values) == block.channels
            rule = f"one value for each of {block.channels} channels"
            rules.append((fits, f"input.{name}", values, rule))
            finite = all(map(math.isfinite, values or ()))
            rules.append((finite, f"input.{name}", values, "finite"))
        positive = block.std is None or min(block.std, default=1) > 0
        rules.append((positive, "input.std", block.std, "positive"))
    elif isinstance(block, AudioInput):
        rate = 1 <= block.sample_rate <= HIGHEST_RATE
        rule = f"from 1 to {HIGHEST_RATE} Hz"
        rules.append((rate, "input.sample_rate", block.sample_rate, rule))
        seconds = block.seconds is None or 0.0 < block.seconds * block.sample_rate < math.inf
        rules.append((seconds, "input.seconds", block.seconds, "positive and finite"))
    elif isinstance(block, TextInput):
        size = block.vocabulary_size >= 0 and block.vocabulary_bytes >= 0
        rules.append((size, "input.vocabulary_size", block.vocabulary_size, "at least 0"))
        length = block.length is None or block.length >= 1
        rules.append((length, "input.length", block.length, "at least 1 token"))
    return rules


def _without_defaults(block: Struct) -> Data:
    """The block as plain data: fields at their default left out, options beside the others."""
    fields = {}
    for field in msgspec.structs.fields(block):
        value = getattr(block, field.name)
        if field.name != "options" and (field.required or value != field.default):
            fields[field.name] = value
    data = msgspec.to_builtins(fields)
    data.update(getattr(block, "options", {}))
    plain: Data = _plain(data, "spec")
    return plain

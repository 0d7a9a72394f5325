"""What is fuzzed: each function takes bytes, and may end in an error of ours or in nothing else.

A function's seeds stand in `SEEDS`; the words of its language, which mutations put together, in `WORDS`.
"""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from functools import cache

import zoo
from zoo import RegistryError, ZooError
from zoo.errors import InvalidRef, InvalidSpec, WeightsError
from zoo.grammar import parse, to_text
from zoo.refs import Ref, VersionNumber
from zoo.registry.compiling import compile_index
from zoo.registry.index import Index
from zoo.registry.reader import parse_yaml, stream_yaml
from zoo.spec import Spec

_VERSION = (
    b'{spec: {backbone: {name: b, widths: [8]}, attention: [{name: se, slot: branch}]}, requires: {a: ">=1"}, '
    b"weights: {sha256: %s, size: 1}, metrics: {a/b/c: {mean: 0.5}}, status: {yanked: x}}"
    % (b"0" * 64)
)


def reader(data: bytes) -> None:
    """The strict reader: read in parts or whole, the same comes out."""
    try:
        document, _ = parse_yaml(data, "r")
    except RegistryError:
        document = RegistryError
    try:
        *pieces, last = stream_yaml(io.BytesIO(data), "r", apart="variants")
    except RegistryError:
        assert document is RegistryError
        return
    if pieces:
        last.value["variants"].update((piece.key, piece.value) for piece in pieces)
    assert document == last.value


def registry(data: bytes) -> None:
    """From YAML to tables: what is let in can be looked up."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            compile_index(io.BytesIO(data), "r", connection)
        except RegistryError:
            return
        index = Index(connection, "r")
        for listing in index.listings():
            assert listing.name in index.names()
            assert index.data(listing.name, listing.number)["spec"]
            assert index.similar_names(listing.name)[0][0]


def refs(data: bytes) -> None:
    """Refs and version numbers: what is read, written and read again is the same."""
    text = data.decode("utf-8", "surrogateescape")
    for kind in (Ref, VersionNumber):
        try:
            value = kind.parse(text)
        except InvalidRef:
            continue
        assert kind.parse(str(value)) == value
        assert text.isascii()


def grammar(data: bytes) -> None:
    """The short form of specs: what is read as a spec, written and read again is the same."""
    try:
        spec = Spec.from_data(parse(data.decode("utf-8", "surrogateescape")))
    except InvalidSpec:
        return
    assert Spec.from_data(parse(to_text(spec))) == spec


def weights(data: bytes) -> None:
    """Files of weights, as they are or by their header alone, up to a model."""
    from zoo import weights as files

    if data[:1] == b"{":  # a header, whose length mutations would not keep right
        begin, _, size = data.rpartition(b"}")
        behind = int(size) if size.isdigit() and len(size) < 6 else 0
        data = (len(begin) + 1).to_bytes(8, "little") + begin + b"}" + bytes(behind)
    try:
        file = files.parse(bytearray(data), "f")
        file.spec  # noqa: B018 - what it raises is the point
        files.load_into(_small_model(), file)
    except WeightsError:
        return


def loading(data: bytes) -> None:
    """A spec from a stranger, up to a model of no more than it can be."""
    from zoo.api import plan_for
    from zoo.composition.allowance import Allowance
    from zoo.composition.building import build

    try:
        text = data.decode()
        spec = Spec.from_data(json.loads(text) if text.startswith("{") else parse(text))
    except (ValueError, RecursionError):  # InvalidSpec is one
        return
    try:
        with Allowance("f", 1000, 10):
            build(plan_for(spec))
    except ZooError:
        return


SMALL = Spec.from_data({"backbone": {"name": "attn_cnn", "widths": [2], "depths": 1}})


@cache
def _small_model() -> zoo.Model:
    return zoo.compose(SMALL)


def _file() -> bytes:
    from zoo.weights import to_bytes

    model = _small_model()
    return to_bytes(model, model.plan)


def _header() -> bytes:
    file = _file()
    end = 8 + int.from_bytes(file[:8], "little")
    return file[8:end].rstrip() + str(len(file) - end).encode()


SEEDS = {
    "reader": [
        b"a: [1, {b: c}]\nd:\n  - e\n  - |\n    text\n",
        b"schema: 1\nid: x\nvariants:\n  a: {b: 1}\n  c:\n    d: [2]\nserial: 1\n",
        b"a: &b [*b]\n<<: !!str x\n--- 'q'\n? k\n: \"v\\u00e9\"\n",
    ],
    "registry": [
        b"schema: 1\nid: x\nserial: 1\nvariants:\n  a_net:\n    summary: s\n    versions:\n      1.0.0: "
        + _VERSION
        + b"\n      1.0.1-rc1: {schema: 2}\n",
    ],
    "refs": [b"team/a_net@1.2.0-rc.1", b"a@sha256:" + b"0a" * 32, b"a_b2@1", b"1.0.0-alpha.1.x"],
    "grammar": [
        b'timm/resnet50 + cbam@branch(stages=3:4, blocks=every:2, start=identity) + gem(p=3.0, hidden=[1]) -> classes(labels=["a"])',
        b"image(channels=1, size=[28, 28], mean=[0.5]) -> attn_cnn(depths=1) + mhsa@last(stages=null)",
        b"audio(sample_rate=16000, seconds=1.5) -> audio_cnn + avg(dropout=1e-1)",
    ],
    "weights": [_file, _header],
    "loading": [
        json.dumps(SMALL.to_data()).encode(),
        b"image(channels=3, size=[8, 8]) -> resnet_cifar(depth=8) + cbam@block(stages=1, reduction=4) + gem(hidden=[4])",
        b"attn_cnn(widths=[4, 8], depths=1) + mhsa@last(num_heads=2) + se@branch(start=identity) + avg -> classes(num_classes=3)",
        b"text(vocabulary_size=9, vocabulary_bytes=20, length=5) -> text_cnn + eca@stage(kernel_size=3)",
        b"audio(sample_rate=8000) -> audio_cnn(widths=[4]) + attentive_stats",
    ],
}
WORDS = {
    "reader": [
        "variants:",
        "schema: ",
        "- ",
        "? ",
        "[{",
        "}]",
        "&a ",
        "*a",
        "!!",
        "<<: ",
        "---\n",
        "null",
        "1e9",
        "'",
        '"',
        "|\n",
        "%YAML",
    ],
    "registry": [
        "variants",
        "versions",
        "spec",
        "weights",
        "sha256",
        "size",
        "metrics",
        "mean",
        "std",
        "seeds",
        "requires",
        "yanked",
        "schema",
        "9223372036854775808",
        "1e308",
        "params: ",
        "1.0.0",
    ],
    "refs": ["@", "/", "sha256:", "-rc1", ".0", "_", "\n"],
    "grammar": [
        "+",
        "->",
        "@branch",
        "@last",
        "stages=",
        "blocks=every:",
        "1:9",
        "1:999999999999",
        "start=identity",
        "(",
        ")",
        "[",
        "null",
        "1e400",
        '"',
        "\\ud800",
        "labels=",
    ],
    "weights": [
        '"dtype":"F32"',
        '"shape":[',
        '"data_offsets":[',
        '"__metadata__":{',
        '"zoo":"',
        "9223372036854775807",
        "1e1",
        '\\"spec\\"',
        "PK",
        "\x80",
    ],
    "loading": [
        *("widths=", "depths=", "num_heads=", "reduction=", "kernel_size=", "hidden=", "size="),
        *("@conv", "@stage(", "@branch", "@block", "@last", " + ", " -> ", "start=identity"),
        *("1000000", "-1", "0", "0.5", "null", "[]", "1e9", "9999999999", '""', "true"),
        *("mhsa", "se", "sk", "involution", "spp", "rmac", "halo", "fca", "cbam", "lambda_layer"),
        *("audio_cnn", "plain_cnn", "resnet_cifar", "text_cnn", "bottleneck", "axial", "outlook"),
    ],
}

"""What may stand in a registry.yaml, checked field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Struct

from zoo.errors import InvalidRef, InvalidSpec, RegistryError, near_misses
from zoo.refs import VersionNumber, check_name
from zoo.registry.reader import Lines, dotted
from zoo.spec import Spec, Weights

SCHEMA = 1
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Head(Struct, frozen=True, forbid_unknown_fields=True):
    """The top of the file."""

    schema: int
    id: str
    serial: Natural
    variants: dict[str, Any]


class Variant(Struct, frozen=True, forbid_unknown_fields=True):
    """A variant and its versions."""

    versions: dict[str, Any]
    summary: str = ""


class Metric(Struct, frozen=True, forbid_unknown_fields=True):
    """A measured figure: its mean over `seeds` trainings, with their standard deviation.

    `value` is that of the very weights that are published, where there were several trainings.
    """

    mean: float
    std: float | None = None
    seeds: Natural = 1
    value: float | None = None


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """One version. The spec is checked apart, so that its messages are its own."""

    spec: dict[str, Any]
    schema: int = SCHEMA
    requires: dict[str, str] = {}
    weights: Weights | None = None
    interface: str | None = None
    params: Natural | None = None
    metrics: dict[str, Metric] = {}
    recipe: dict[str, Any] = {}
    license: str = ""
    provenance: dict[str, Any] = {}
    status: dict[str, str] = {}


class Row(NamedTuple):
    """A version that was read, with the data it was read from."""

    name: str
    number: VersionNumber
    summary: str
    entry: Entry
    spec: Spec
    data: Mapping[str, Any]


def read_head(data: Any, source: str, lines: Lines) -> Head:
    """Check the top of a registry.

    Raises:
        RegistryError: A field is missing, unknown or of the wrong form, or the schema is newer.
    """
    check_schema(data, source)
    head: Head = _convert(data, Head, source, lines, ())
    _name(head.id, source, lines, ("id",), dashes=True)
    return head


def check_schema(data: Any, source: str) -> None:
    """Check that a registry, of which only the top may be known, is none of a newer schema.

    Raises:
        RegistryError: It is.
    """
    if is_newer(data):
        raise RegistryError(
            f"{source}: schema {data['schema']}; this version reads up to {SCHEMA}. Upgrade attn-zoo."
        )


def read_rows(head: Head, source: str, lines: Lines, skipped: list[str]) -> Iterator[Row]:
    """Check every version of a registry and yield it; a version of a newer schema is skipped.

    Args:
        head: The top of the registry.
        source: Where it came from, for messages.
        lines: Lines of the places in it.
        skipped: Gets a sentence for each version that was left out.

    Raises:
        RegistryError: Something else is wrong.
    """
    for name, data in head.variants.items():
        yield from read_variant(name, data, source, lines, skipped)


def read_variant(
    name: str, data: Any, source: str, lines: Lines, skipped: list[str]
) -> Iterator[Row]:
    """Check every version of one variant and yield it; see `read_rows`."""
    at: tuple[str, ...] = ("variants", name)
    _name(name, source, lines, at)
    variant: Variant = _convert(data, Variant, source, lines, at)
    for text, version in variant.versions.items():
        if is_newer(version):
            skipped.append(
                f"{name}@{text!r:.40} has schema {version['schema']}; upgrade attn-zoo to use it"
            )
        else:
            yield _row(name, text, version, source, lines, summary=variant.summary)


def _row(name: str, text: str, data: Any, source: str, lines: Lines, *, summary: str) -> Row:
    at = ("variants", name, "versions", text)
    try:
        number = VersionNumber.parse(text)
    except InvalidRef as error:
        raise _wrong(source, lines, at, str(error)) from None
    entry: Entry = _convert(data, Entry, source, lines, at)
    _check_entry(entry, source, lines, at)
    try:
        spec = Spec.from_data(entry.spec, where=dotted((*at, "spec")))
    except InvalidSpec as error:
        raise RegistryError(f"{source}:{lines.at((*at, 'spec'))}: {error}") from None
    if isinstance(spec.backbone.pretrained, str):
        what = "a registry cannot name a file of yours; say true or false"
        raise _wrong(source, lines, (*at, "spec", "backbone", "pretrained"), what)
    return Row(name, number, summary, entry, spec, data)


def is_newer(data: Any) -> bool:
    """Whether a registry, or a version in it, is of a newer schema, so that nothing else is known of it."""
    return isinstance(data, Mapping) and type(data.get("schema")) is int and data["schema"] > SCHEMA


def _check_entry(entry: Entry, source: str, lines: Lines, at: tuple[str, ...]) -> None:
    if entry.weights is not None:
        if not _HEX64.match(entry.weights.sha256):
            raise _wrong(
                source,
                lines,
                (*at, "weights", "sha256"),
                f"{entry.weights.sha256!r:.80} is not 64 hex digits",
            )
        if not 0 <= entry.weights.size < 2**63:
            raise _wrong(
                source, lines, (*at, "weights", "size"), f"{entry.weights.size} is no size in bytes"
            )
    for distribution, specifier in entry.requires.items():
        if not _is_requirement(distribution, specifier):
            raise _wrong(
                source,
                lines,
                (*at, "requires", distribution),
                f"{distribution!r:.60}: {specifier!r:.60} is no distribution with versions, "
                "e.g. attn-zoo: '>=0.1'",
            )
    unknown = set(entry.status) - {"yanked"}
    if unknown:
        raise _wrong(
            source,
            lines,
            (*at, "status"),
            f"unknown field {min(unknown)!r}; only 'yanked' is known",
        )


@lru_cache(maxsize=1024)  # a registry says the same few again and again
def _is_requirement(distribution: str, specifier: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(specifier)
    except InvalidSpecifier:
        return False
    return _DISTRIBUTION.match(distribution) is not None


def _convert(data: Any, struct: type[Any], source: str, lines: Lines, at: tuple[str, ...]) -> Any:
    if not isinstance(data, Mapping):
        raise _wrong(source, lines, at, f"expected fields with names, got {data!r:.60}")
    for field in data:
        if field not in struct.__struct_fields__:
            raise _wrong(
                source,
                lines,
                (*at, field),
                f"unknown field. {near_misses(field, struct.__struct_fields__)}",
            )
    try:
        return msgspec.convert(data, struct)
    except msgspec.ValidationError as error:
        raise _wrong(source, lines, at, str(error)) from None


def _name(
    name: str, source: str, lines: Lines, at: tuple[str, ...], *, dashes: bool = False
) -> None:
    try:
        check_name(name.replace("-", "_") if dashes else name)
    except InvalidRef as error:
        raise _wrong(source, lines, at, str(error)) from None


def _wrong(source: str, lines: Lines, at: Sequence[str], what: str) -> RegistryError:
    return RegistryError(f"{source}:{lines.at(at)}: {dotted(at) or 'registry'}: {what}")

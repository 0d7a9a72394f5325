"""What may stand in a registry.yaml: each rule in a registry that breaks it."""

from __future__ import annotations

from typing import Any

import pytest

from zoo import RegistryError
from zoo.registry.reader import parse_yaml
from zoo.registry.schema import read_head, read_rows

SPEC = "{backbone: {name: attn_cnn}}"
DIGEST = "0" * 64


def read(text: str, skipped: list[str] | None = None) -> list[Any]:
    """Return the rows of a registry."""
    data, lines = parse_yaml(text.encode(), "r.yaml")
    return list(read_rows(read_head(data, "r.yaml", lines), "r.yaml", lines, skipped or []))


def registry(entry: str = "", *, name: str = "a_net", version: str = '"1.0.0"') -> str:
    """The text of a registry with one version, whose entry has the line `entry` beside its spec."""
    return (
        "schema: 1\nid: tests\nserial: 1\nvariants:\n"
        f"  {name}:\n    versions:\n      {version}:\n        spec: {SPEC}\n        {entry}\n"
    )


def test_a_version_is_read_with_its_number_and_spec() -> None:
    """The least that a registry holds."""
    (row,) = read(registry("metrics: {mnist/test/top1: {mean: 0.99}}"))
    assert (row.name, str(row.number), row.spec.backbone.name) == ("a_net", "1.0.0", "attn_cnn")
    assert row.entry.metrics["mnist/test/top1"].mean == 0.99


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("metric: {}", r"r\.yaml:9: .*metric: unknown field\. Did you mean 'metrics'"),
        ("metrics: {a: {mean: nan}}", "Expected `float`, got `str`"),
        ("metrics: {a: {mean: .nan}}", "Expected `float`, got `str`"),
        ("metrics: {a: {}}", "missing required field `mean`"),
        ("metrics: {a: {mean: 1, seeds: -1}}", "`int` >= 0"),
        ("weights: {sha256: 0123, size: 1}", "'0123' is not 64 hex digits"),
        (f"weights: {{sha256: {'A' * 64}, size: 1}}", "is not 64 hex digits"),
        (f'weights: {{sha256: "{DIGEST}\\n", size: 1}}', "is not 64 hex digits"),
        (f'weights: {{sha256: "../../{DIGEST}", size: 1}}', "is not 64 hex digits"),
        (f'weights: {{sha256: "{DIGEST}", size: -1}}', r"size: -1 is no size in bytes"),
        (f'weights: {{sha256: "{DIGEST}", size: {2**80}}}', "is no size in bytes"),
        (f'weights: {{sha256: "{DIGEST}"}}', "missing required field `size`"),
        (f'weights: {{sha256: "{DIGEST}", size: 1, url: x}}', "unknown field `url`"),
        ("params: -1", "`int` >= 0"),
        (f"params: {2**70}", "`int` <= "),
        ("params: many", "Expected `int . null`, got `str`"),
        ("requires: {attn-zoo: new}", "'new' is no distribution with versions"),
        ('requires: {"": ">=1"}', "is no distribution with versions"),
        ('requires: {"a b": ">=1"}', "is no distribution with versions"),
        ("requires: {attn-zoo: 1}", "Expected `str`, got `int`"),
        ("status: {gone: x}", "unknown field 'gone'; only 'yanked' is known"),
        ("status: {yanked: true}", "Expected `str`, got `bool`"),
        ("license: no\n        recipe: 3", "Expected `object`, got `int`"),
    ],
)
def test_a_wrong_field_is_an_error_with_file_line_and_place(entry: str, message: str) -> None:
    """Nothing is guessed, nothing is skipped."""
    with pytest.raises(RegistryError, match=message) as caught:
        read(registry(entry))
    assert "variants.a_net.versions.1.0.0" in str(caught.value)


@pytest.mark.parametrize(
    "name", ['"a\\n"', "A", "a-b", "a__b", '"../a"', '""', "a" * 65, "1a", "ä"]
)
def test_a_name_in_the_wrong_form_is_refused(name: str) -> None:
    """A newline at the end, too."""
    with pytest.raises(RegistryError, match=r"r\.yaml:\d: variants\..* is no name"):
        read(registry(name=name))


@pytest.mark.parametrize(
    "version", ["1.0", "1", "v1.0.0", "1.0.0.0", '"1.0.0\\n"', "01.0.0", "latest", "1.0.0-01"]
)
def test_a_version_in_the_wrong_form_is_refused(version: str) -> None:
    """`1.10` without quotes among them: it is no complete number."""
    with pytest.raises(RegistryError, match=r"is no version number: write MAJOR.MINOR.PATCH"):
        read(registry(version=version))


def test_a_wrong_spec_is_refused_with_its_line() -> None:
    """The place in the spec is named."""
    text = registry().replace(SPEC, "{backbone: {name: b}, head: {name: avg, dropout: 2}}")
    with pytest.raises(RegistryError, match=r"r\.yaml:8: .*spec\.head\.dropout: 2\.0 is not in"):
        read(text)


def test_a_registry_cannot_name_a_file_to_take_weights_from() -> None:
    """Index content chooses no path."""
    text = registry().replace(SPEC, "{backbone: {name: b, pretrained: /etc/passwd}}")
    with pytest.raises(RegistryError, match="pretrained: a registry cannot name a file of yours"):
        read(text)


def test_a_version_of_a_newer_schema_is_skipped_and_named() -> None:
    """Whatever it looks like; the others are read."""
    text = registry() + '      "2.0.0": {schema: 2, anything: [new]}\n'
    skipped = [""]
    assert [str(row.number) for row in read(text, skipped)] == ["1.0.0"]
    assert skipped[1:] == ["a_net@'2.0.0' has schema 2; upgrade attn-zoo to use it"]


def test_a_registry_of_a_newer_schema_is_refused() -> None:
    """With what to do about it."""
    with pytest.raises(RegistryError, match=r"schema 2; this version reads up to 1. Upgrade"):
        read("schema: 2\nfuture: true\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected fields with names, got None"),
        ("[]", r"expected fields with names, got \[\]"),
        ("schema: 1\nid: tests\nserial: 1", "missing required field `variants`"),
        ("schema: 1\nid: tests\nserial: -1\nvariants: {}", "`int` >= 0"),
        (f"schema: 1\nid: tests\nserial: {2**70}\nvariants: {{}}", "`int` <= "),
        ("schema: 1\nid: Tests\nserial: 1\nvariants: {}", "is no name"),
        ('schema: 1\nid: "a\\n"\nserial: 1\nvariants: {}', "is no name"),
        ("schema: 1\nid: a\nserial: 1\nvariants: {}\nmore: 1", r"r\.yaml:5: more: unknown field"),
        ("schema: 1\nid: a\nserial: 1\nvariants: {a: []}", r"variants\.a: expected fields with"),
        ("schema: 1\nid: a\nserial: 1\nvariants: {a: {}}", "missing required field `versions`"),
    ],
)
def test_a_wrong_head_is_refused(text: str, message: str) -> None:
    """Every field of it is checked."""
    with pytest.raises(RegistryError, match=message):
        read(text)

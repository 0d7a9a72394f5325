"""Registries that are hostile, careless or from the future: a clear error, or what is sound in them, and nothing kept.

Each is a registry's folder that is opened, as a user's would be.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import zoo
from zoo import Registry, RegistryError, UnknownName

Open = Callable[[str | bytes], Registry]

TOP = "schema: 1\nid: tests\nserial: 1\nvariants:\n"
SPEC = "spec: {backbone: {name: attn_cnn}}"
SOUND = f'  sound: {{versions: {{"1.0.0": {{{SPEC}}}}}}}\n'


def with_version(entry: str = SPEC, *, name: str = "a_net", number: str = '"1.0.0"') -> str:
    """A registry of two variants, the second with one version."""
    return f"{TOP}{SOUND}  {name}:\n    versions:\n      {number}: {{{entry}}}\n"


@pytest.fixture
def open_registry(tmp_path: Path, cache: Path) -> Open:
    """Open a registry with this text, and see that nothing of a broken one is kept."""

    def open_it(text: str | bytes) -> Registry:
        content = text.encode() if isinstance(text, str) else text
        (tmp_path / "registry.yaml").write_bytes(content)
        before = set(cache.rglob("*"))
        try:
            return Registry(tmp_path)
        except RegistryError:
            assert all(path.is_dir() for path in set(cache.rglob("*")) - before)
            raise

    return open_it


def test_the_registry_that_the_faults_are_put_into_is_sound(open_registry: Open) -> None:
    """Otherwise the tests below would pass for another reason."""
    assert open_registry(with_version()).index.names() == ["a_net", "sound"]


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system [id]", "!!binary aGk=", "!!str x", "!mine x"]
)
def test_tags(open_registry: Open, tag: str) -> None:
    """None is known, and none builds anything."""
    with pytest.raises(RegistryError, match=r"registry\.yaml:9: a tag .* in .*license is not all"):
        open_registry(with_version(f"{SPEC},\n          license: {tag}"))


def test_an_alias_bomb(open_registry: Open) -> None:
    """323 bytes that a walk would make billions of: refused at the first anchor, in no time."""
    letters = "abcdefghi"
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join(f'*{old}' for _ in range(9))}]\n"
        for old, new in itertools.pairwise(letters)
    )
    with pytest.raises(RegistryError, match=r"registry\.yaml:1: an anchor \(&a\) in a is not"):
        open_registry(bomb)


@pytest.mark.parametrize("bracket", ["[", "{", "- ", "? ", "[{a: "])
def test_40000_nested_brackets(tmp_path: Path, bracket: str) -> None:
    """Other readers of YAML die of it: in a process of its own, where a crash would be seen."""
    (tmp_path / "registry.yaml").write_text(bracket * 40_000)
    program = (
        "import sys, zoo\n"
        "try: zoo.Registry(sys.argv[1])\n"
        "except zoo.RegistryError as error: print('refused:', str(error)[-120:])"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused:")


def test_deep_nesting_inside_a_version(open_registry: Open) -> None:
    """16 levels from the top are read, and no more."""
    deep = "[" * 10 + "]" * 10
    assert open_registry(with_version(f"{SPEC}, recipe: {{a: {deep}}}")).index.names()
    with pytest.raises(
        RegistryError, match=r"registry\.yaml:8: nesting deeper than 16 in variants"
    ):
        open_registry(with_version(f"{SPEC}, recipe: {{a: [{deep}]}}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            with_version(name="sound"),
            r"registry\.yaml:6: the key 'sound' a second time in variants",
        ),
        (with_version(f"{SPEC}, {SPEC}"), r"registry\.yaml:8: the key 'spec' a second time"),
        (with_version() + "serial: 9\n" + "serial: 8\n", r"registry\.yaml:9: the key 'serial'"),
    ],
)
def test_duplicate_keys(open_registry: Open, text: str, message: str) -> None:
    """Two variants, two fields, two at the top: the last one does not silently win."""
    with pytest.raises(RegistryError, match=message):
        open_registry(text)


def test_merge_keys(open_registry: Open) -> None:
    """What a version holds stands in it."""
    with pytest.raises(
        RegistryError, match=r"registry\.yaml:8: a merge key \(<<\) in variants\.a_"
    ):
        open_registry(with_version(f"<<: {{{SPEC}}}"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("weights: {sha256: 0123, size: 1}", "'0123' is not 64 hex digits"),
        ("params: 0x10", "Expected `int"),
        ("params: 1_000", "Expected `int"),
        ("params: 12:30", "Expected `int"),
        ("metrics: {a: {mean: .5}}", "Expected `float`, got `str`"),
        ("status: {yanked: yes}\n, license: true", "Expected `str`, got `bool`"),
    ],
)
def test_scalar_traps_that_end_in_an_error(open_registry: Open, entry: str, message: str) -> None:
    """What YAML would quietly turn into a number is a text, which is none."""
    with pytest.raises(RegistryError, match=message):
        open_registry(with_version(f"{SPEC}, {entry}"))


def test_scalar_traps_that_stay_texts(open_registry: Open) -> None:
    """`no` is no False, 1.10.0 is not shortened, a date is no date."""
    entry = f"{SPEC}, license: no, provenance: {{on: off, created: 2026-01-01, time: 12:30:45}}"
    registry = open_registry(with_version(entry, number="1.10.0"))
    version = zoo.describe("a_net", registries=[registry])
    assert (str(version.ref), version.license) == ("a_net@1.10.0", "no")
    assert version.provenance == {"on": "off", "created": "2026-01-01", "time": "12:30:45"}


def test_a_second_document(open_registry: Open) -> None:
    """It would be read by some and not by others."""
    with pytest.raises(RegistryError, match=r"registry\.yaml:9: a second document is not allowed"):
        open_registry(f"{with_version()}---\n{with_version(name='other')}")


def test_a_list_of_directives(open_registry: Open) -> None:
    """A megabyte of them would take the parser minutes."""
    lines = "".join(f"%TAG !a{number}! x\n" for number in range(60_000))
    with pytest.raises(RegistryError, match=r"byte 0: a line that begins with % is not allowed"):
        open_registry(f"{lines}---\n{with_version()}")


def test_1_gb_of_index(tmp_path: Path) -> None:
    """A sparse file, which takes no room: it is not read, as its size says enough."""
    with open(tmp_path / "registry.yaml", "wb") as file:
        file.write(with_version().encode())
        file.truncate(2**30)
    with pytest.raises(RegistryError, match=r"more than 268435456 bytes; nothing of it is used"):
        Registry(tmp_path)


def test_an_index_of_zeros(open_registry: Open) -> None:
    """As a disk leaves it that was full: it ends at the first, with its place."""
    with pytest.raises(RegistryError, match=r"yaml: no YAML: at character \d+: control characters"):
        open_registry(with_version().encode() + bytes(4 * 2**20))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            with_version(f"{SPEC}, metric: {{}}"),
            r"8: .*metric: unknown field\. Did you mean 'metri",
        ),
        (with_version("spec: {backbon: x}"), r"8: .*spec: unknown field 'backbon'\. Did you mean"),
        (with_version() + "mirror: https://example.org\n", r"9: mirror: unknown field"),
        (
            with_version(f"{SPEC}, weights: {{url: x}}"),
            r"8: .*unknown field `url`|missing required",
        ),
    ],
)
def test_unknown_fields(open_registry: Open, text: str, message: str) -> None:
    """At the top, in a version, in a spec, in its weights: a misspelt field is not passed over."""
    with pytest.raises(RegistryError, match=rf"registry\.yaml:{message}"):
        open_registry(text)


def test_an_unknown_schema_of_one_version(open_registry: Open) -> None:
    """That one is skipped, and said to be; the others are there."""
    registry = open_registry(with_version("schema: 2, future: [1]"))
    assert registry.index.names() == ["sound"]
    assert registry.index.skipped == ["a_net@'1.0.0' has schema 2; upgrade attn-zoo to use it"]
    with pytest.raises(UnknownName, match=r"a_net@'1\.0\.0' has schema 2; upgrade attn-zoo"):
        zoo.describe("a_net", registries=[registry])


def test_an_unknown_schema_of_the_registry(open_registry: Open) -> None:
    """Nothing in it can be relied on."""
    with pytest.raises(RegistryError, match=r"schema 2; this version reads up to 1\. Upgrade"):
        open_registry(with_version("future: true").replace("schema: 1", "schema: 2"))


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"])
def test_bad_utf_8(open_registry: Open, bad: bytes) -> None:
    """A stray byte, a broken pair, half a surrogate, a form that is none: with its place."""
    text = with_version(f"{SPEC}, license: '").encode()
    with pytest.raises(RegistryError, match=rf"registry\.yaml: byte {len(text) - 2} is no UTF-8"):
        open_registry(text[:-2] + bad + b"'}\n")


def test_utf_16(open_registry: Open) -> None:
    """YAML knows it, and we do not: one form is enough."""
    with pytest.raises(RegistryError, match="byte 0 is no UTF-8"):
        open_registry(with_version().encode("utf-16"))


@pytest.mark.parametrize("number", ["1.0", "1", "v1.0.0", "01.0.0", '"1.0.0\\n"', "1.10", "latest"])
def test_a_version_in_the_wrong_form(open_registry: Open, number: str) -> None:
    """With the form there is."""
    with pytest.raises(RegistryError, match=r"registry\.yaml:8: .*write MAJOR\.MINOR\.PATCH"):
        open_registry(with_version(number=number))


@pytest.mark.parametrize("name", ['"a\\n"', '"../a"', '"a b"', "A_net", "a__b", '"\\e[31m"'])
def test_a_name_in_the_wrong_form(open_registry: Open, name: str) -> None:
    """A newline at its end among them; what does not print is shown escaped."""
    with pytest.raises(
        RegistryError, match=r"registry\.yaml:7: .* is no name: lower-case"
    ) as caught:
        open_registry(with_version(name=name))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("number", ["nan", ".nan", "NaN", "Infinity", ".inf", "1e999", '"0.5"'])
def test_nan_as_a_metric(open_registry: Open, number: str) -> None:
    """Nor infinity, nor a text."""
    with pytest.raises(
        RegistryError, match=r"registry\.yaml:8: .*(the number |Expected `float`, got `str`)"
    ):
        open_registry(with_version(f"{SPEC}, metrics: {{a/test/top1: {{mean: {number}}}}}"))


def test_a_digest_that_is_a_path(open_registry: Open) -> None:
    """Index content chooses no place on the disk."""
    entry = f"{SPEC}, weights: {{sha256: '../../../../etc/passwd', size: 1}}"
    with pytest.raises(RegistryError, match=r"weights\.sha256: .* is not 64 hex digits"):
        open_registry(with_version(entry))


def test_a_version_of_a_million_places(
    open_registry: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One entry cannot fill the memory; the limit is lowered here, as reaching it takes seconds."""
    monkeypatch.setattr("zoo.registry.reader.PLACES_LIMIT", 1000)
    labels = ", ".join(["x"] * 1001)
    with pytest.raises(
        RegistryError, match=r"an entry of more than 1000 places in variants\.a_net"
    ):
        open_registry(with_version(f"spec: {{backbone: b, output: {{labels: [{labels}]}}}}"))

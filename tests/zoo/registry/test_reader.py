"""The strict reader: the faults of hostile and careless YAML, each an error with its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import RegistryError
from zoo.registry import reader
from zoo.registry.reader import parse_yaml, read_yaml


def parse(text: str | bytes) -> object:
    """Return the data of a document."""
    return parse_yaml(text.encode() if isinstance(text, str) else text, "r.yaml")[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system [id]", r"r\.yaml:1: a tag \(tag:yaml.org,2002:pyth"),
        ("a: !!str 1", r"r\.yaml:1: a tag"),
        ("a: !x 1", r"a tag \(!x\) in a is not allowed"),
        ("a: 1\nb: &x [1]", r"r\.yaml:2: an anchor \(&x\)"),
        ("a: &x 1", r"an anchor \(&x\)"),
        ("&x a: 1", r"an anchor \(&x\)"),
        ("a: [&b [x], *b]", "an anchor"),
        ("a: *x", "an alias in a is not allowed here; write the value out"),
        ("a:\n  <<: {b: 1}", r"r\.yaml:2: a merge key \(<<\)"),
        ("a: 1\nb: 2\na: 3", r"r\.yaml:3: the key 'a' a second time"),
        ("a: 1\n'a': 2", "the key 'a' a second time"),
        ('1: x\n"1": y', "the key '1' a second time"),
        ("a: 1\n---\nb: 2", r"r\.yaml:2: a second document"),
        ("? [a]\n: 1", "a key that is no text"),
        ("? {a: b}\n: 1", "a key that is no text"),
        ("m:\n  top1: NaN", r"r\.yaml:2: the number NaN in m\.top1"),
        ("a: Infinity", "the number Infinity"),
        ("a: [-Infinity]", r"the number -Infinity in a"),
        ("a: 1e999", "too large"),
        ("a: [1, 2", r"r\.yaml:2: no YAML"),
        ("a: b: c", "no YAML"),
        ("a: \x07", "no YAML"),
        ('a: "\\ud800"', "no YAML"),
        ("\t- a", "no YAML"),
    ],
)
def test_what_could_surprise_is_refused_with_its_line(text: str, message: str) -> None:
    """Each names the source, the line and what is not allowed."""
    with pytest.raises(RegistryError, match=message):
        parse(text)


@pytest.mark.parametrize("bracket", ["[", "{", "- ", "? ", "[{a: "])
def test_40000_nested_brackets_are_an_error_and_no_crash(bracket: str) -> None:
    """In a process of its own, so that a crash would count."""
    program = (
        "from zoo.registry.reader import parse_yaml\nfrom zoo import RegistryError\n"
        f"try: parse_yaml({bracket!r}.encode() * 40000, 'r')\n"
        "except RegistryError as error: print('refused', str(error)[:200])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused")


def test_nesting_up_to_the_limit_is_read() -> None:
    """16 levels are read, 17 are not."""
    assert str(parse("[" * 16 + "]" * 16)).count("[") == 16
    with pytest.raises(RegistryError, match="nesting deeper than 16"):
        parse("[" * 17 + "]" * 17)


def test_an_alias_bomb_stops_at_its_first_anchor() -> None:
    """Nothing is expanded."""
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join(f'*{a}' for _ in range(9))}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(RegistryError, match=r"r\.yaml:1: an anchor \(&a\)"):
        parse(bomb)


@pytest.mark.parametrize("plain", ["no", "yes", "on", "off", "True", "NULL", "1.2.0", "2026-01-01"])
def test_plain_scalars_that_yaml_would_turn_into_something_else_are_texts(plain: str) -> None:
    """Only what JSON reads as number, true, false or null is one."""
    assert parse(f"a: {plain}") == {"a": plain}


@pytest.mark.parametrize(
    "plain", ["0123", "0x1F", "0o7", "1_000", "12:30:45", ".5", "+1", ".nan", ".inf"]
)
def test_octal_hexadecimal_and_sexagesimal_numbers_are_texts(plain: str) -> None:
    """`sha: 0123` does not become 83."""
    assert parse(f"a: {plain}") == {"a": plain}


def test_json_scalars_are_what_json_says() -> None:
    """Numbers, booleans and null; an empty value and ~ are null; 1.10 is a number, and so needs quotes."""
    text = "a: 1\nb: 1.5\nc: true\nd: null\ne:\nf: ~\ng: -2e3\nh: 1.10"
    expected = {"a": 1, "b": 1.5, "c": True, "d": None, "e": None, "f": None, "g": -2000, "h": 1.1}
    assert parse(text) == expected


@pytest.mark.parametrize("quoted", ['"1"', "'1'", '"true"', "'null'", '"1.10"', "'~'", '"<<"'])
def test_quoted_scalars_are_texts(quoted: str) -> None:
    """Quotes are how one says text."""
    assert parse(f"a: {quoted}") == {"a": quoted[1:-1]}


def test_a_whole_number_without_end_stays_a_text() -> None:
    """It costs no time and is refused by the schema."""
    assert parse(b"a: " + b"1" * 5000) == {"a": "1" * 5000}


def test_lines_are_kept_for_messages() -> None:
    """Each place knows its line."""
    _, lines = parse_yaml(b"a:\n  b:\n    - x\n    - y: 1\n", "r")
    assert (lines["a", "b", 0], lines["a", "b", 1, "y"]) == (3, 4)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    """With the place of the first wrong one."""
    with pytest.raises(RegistryError, match=r"r\.yaml: byte 3 is no UTF-8"):
        parse(b"a: \xff")


def test_utf16_is_refused() -> None:
    """Even though YAML knows it."""
    with pytest.raises(RegistryError, match="no UTF-8"):
        parse("a: 1".encode("utf-16"))


def test_an_empty_document_is_nothing() -> None:
    """The schema then says that fields are missing."""
    assert parse("") is None


def test_a_file_beyond_the_limit_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte more than the limit is read, whatever the size of the file."""
    monkeypatch.setattr(reader, "SIZE_LIMIT", 100)
    path = tmp_path / "registry.yaml"
    with open(path, "wb") as file:
        file.truncate(2**30)  # sparse: 1 GB that takes no room
    with pytest.raises(RegistryError, match="more than 100 bytes"):
        read_yaml(path)
    with pytest.raises(RegistryError, match="more than 100 bytes"):
        parse_yaml(b"#" * 101, "r")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the reason of the system."""
    with pytest.raises(RegistryError, match=r"gone.yaml cannot be read: No such file"):
        read_yaml(tmp_path / "gone.yaml")


@given(st.binary(max_size=200))
def test_any_bytes_are_data_or_refused(content: bytes) -> None:
    """Nothing but RegistryError comes out of the reader."""
    try:
        parse_yaml(content, "r")
    except RegistryError:
        return


@given(st.text(alphabet="[]{}:,&*!|>'\"%@`#-? \n\tab1<~", max_size=60))
def test_any_signs_are_data_or_refused(text: str) -> None:
    """The same, with what YAML is made of."""
    try:
        parse(text)
    except RegistryError:
        return

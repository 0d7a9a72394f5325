"""The strict reader: the faults of hostile and careless YAML, each an error with its line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import RegistryError
from zoo.registry import reader
from zoo.registry.reader import parse_yaml, read_yaml, stream_yaml


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
        (
            "m:\n  top1: NaN",
            r"r\.yaml:2: the number NaN in m\.top1 is not allowed here; write a finite one\.$",
        ),
        ("a: Infinity", "the number Infinity"),
        ("a: [-Infinity]", r"the number -Infinity in a"),
        ("a: 1e999", r"the number 1e999 in a is not allowed here; it is too large\.$"),
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


@pytest.mark.parametrize("with_c", [True, False])
def test_half_a_character_is_refused_with_and_without_libyaml(
    with_c: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No database takes it."""
    if not with_c:
        monkeypatch.delattr("yaml.CSafeLoader", raising=False)
    with pytest.raises(RegistryError, match=r"r\.yaml"):
        parse('a: 1\nb: "\\ud800x"')
    assert parse('a: "\\u20ac"') == {"a": "€"}


def test_nesting_up_to_the_limit_is_read() -> None:
    """16 levels are read, 17 are not."""
    assert str(parse("[" * 16 + "]" * 16)).count("[") == 16
    with pytest.raises(RegistryError, match="nesting deeper than 16"):
        parse("[" * 17 + "]" * 17)


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
    assert [lines.at(path) for path in (["a", "b", 0], ["a", "b", 1, "y"])] == [3, 4]
    assert lines.at(["a", "b", 1, "no", "such"]) == 4
    assert lines.at(["no"]) == 1


def pieces(text: str) -> list[tuple[str | None, object]]:
    """The parts of a document whose variants come one by one."""
    found = stream_yaml(io.BytesIO(text.encode()), "r.yaml", apart="variants")
    return [(piece.key, piece.value) for piece in found]


def test_the_entries_of_one_mapping_come_one_by_one() -> None:
    """Whatever they are; the document comes last, without them."""
    text = "id: x\nvariants:\n  a: {b: [1]}\n  c: 3\n  d:\n  e: [variants: {f: 1}]\nserial: 1\n"
    assert pieces(text) == [
        ("a", {"b": [1]}),
        ("c", 3),
        ("d", None),
        ("e", [{"variants": {"f": 1}}]),
        (None, {"id": "x", "variants": dict.fromkeys("acde"), "serial": 1}),
    ]


@pytest.mark.parametrize(
    "text", ["variants: [1, {a: 2}]", "variants: 3", "- variants: {a: 1}", "x"]
)
def test_what_is_no_such_mapping_comes_whole(text: str) -> None:
    """The schema then says what is wrong."""
    assert pieces(text) == [(None, parse(text))]


def test_an_entry_comes_before_what_follows_it_is_read() -> None:
    """A fault further down does not hold it back."""
    stream = stream_yaml(io.BytesIO(b"variants: {a: 1, b: [}"), "r.yaml", apart="variants")
    assert next(stream)[:2] == ("a", 1)
    with pytest.raises(RegistryError, match=r"r\.yaml:1: no YAML"):
        next(stream)


def test_an_entry_knows_its_lines_and_the_top_of_its_document() -> None:
    """By the paths that they have there."""
    text = b"schema: 2\nvariants:\n  a:\n    b: 1\n  c:\n    d: 2\n"
    _, second, _ = stream_yaml(io.BytesIO(text), "r", apart="variants")
    assert (second.lines.at(["variants", "c", "d"]), second.top["schema"]) == (6, 2)


def test_a_name_that_stands_twice_is_seen_even_if_the_first_is_gone() -> None:
    """With the line of the second."""
    with pytest.raises(RegistryError, match=r"r\.yaml:3: the key 'a' a second time in variants"):
        pieces("variants:\n  a: {}\n  a: {}\n")


def test_an_entry_with_too_many_places_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each counts for itself; a document that is read whole has no such limit."""
    monkeypatch.setattr(reader, "PLACES_LIMIT", 5)
    assert len(pieces("variants: {a: [1, 2, 3], b: [1, 2, 3], c: 1}")) == 4
    with pytest.raises(RegistryError, match=r"an entry of more than 5 places in variants.b"):
        pieces("variants: {a: 1, b: [1, 2, 3, 4, 5]}")
    assert parse("variants: {b: [1, 2, 3, 4, 5]}")


def test_an_endless_file_is_read_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size need not be known."""

    class Endless(io.RawIOBase):
        calls = 0

        def read(self, size: int = -1) -> bytes:
            self.calls += 1
            return b"# and on\n".ljust(size)

    endless = Endless()
    monkeypatch.setattr(reader, "SIZE_LIMIT", 5 * 2**20)
    with pytest.raises(RegistryError, match=r"r: more than 5242880 bytes; nothing of it is used"):
        list(stream_yaml(endless, "r", apart=None))
    assert endless.calls == 6


@pytest.mark.parametrize(
    "start", ["", "\ufeff", "# c\n", "# c\r", "# \x85", "# \u2028", "--- a\n...\n"]
)
@pytest.mark.parametrize("chunk", [1, 2**20])
def test_a_directive_is_refused(monkeypatch: pytest.MonkeyPatch, start: str, chunk: int) -> None:
    """Behind every line break; the parser's time grows with the square of their number."""
    monkeypatch.setattr(reader, "_CHUNK", chunk)
    place = len(start.encode())
    with pytest.raises(RegistryError, match=f"byte {place}: a line that begins with % is not all"):
        parse(start + "%TAG !a! x\n--- a")


def test_a_percent_sign_elsewhere_is_text() -> None:
    """Summaries speak of shares."""
    assert parse("a: 87.4 %\nb: '%'\nc: |\n  %x\n") == {"a": "87.4 %", "b": "%", "c": "%x\n"}


def test_a_character_that_is_cut_between_two_reads_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a wrong byte after it has its place in the whole file."""
    monkeypatch.setattr(reader, "_CHUNK", 3)
    assert parse("a: '€€ü'") == {"a": "€€ü"}
    with pytest.raises(RegistryError, match="byte 10 is no UTF-8"):
        parse("a: '€€".encode() + b"\xff'")
    with pytest.raises(RegistryError, match="byte 7 is no UTF-8"):
        parse("a: '€".encode() + b"\xe2\x82")


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

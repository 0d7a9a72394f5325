"""Nothing that strangers wrote reaches the terminal as anything but visible text, from any command."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import zoo

# Clears the screen, colours, sets the window's title, moves to the line's start, turns text round, rings.
EVIL = "\x1b[2J\x1b[31m\x1b]0;owned\x07\r\x9b1m\u202eevil\n\tzoo: error: forged\x7f"
SHOWN = "\\x1b[2J"


def is_plain(text: str) -> bool:
    """Whether a text is printable but for its line ends."""
    return text.replace("\n", "").isprintable() and "\nzoo: error: forged" not in text


def test_the_check_says_no() -> None:
    """To every part of the hostile text, and to a line that is forged."""
    assert not any(map(is_plain, ["\x1b[2J", "\x07", "\r", "\x9b1m", "\u202e", "\t", "\x7f"]))
    assert not is_plain("a\nzoo: error: forged")
    assert is_plain("a\nb: \\x1b[2J")


@pytest.fixture
def evil_model(small_spec: dict[str, Any], tmp_path: Path) -> Path:
    """A file whose labels and metadata are hostile."""
    small_spec["output"] = {"labels": [EVIL, "dog"]}
    return zoo.save(
        zoo.compose(zoo.Spec.from_data(small_spec)),
        tmp_path / "evil.safetensors",
        metrics={EVIL: {"mean": 0.5}},
        recipe={EVIL: EVIL},
        provenance={EVIL: [EVIL]},
    )


@pytest.fixture
def evil_registry(make_registry: Any, evil_model: Path) -> zoo.Registry:
    """A registry in which every text that may be one is hostile."""
    spec = zoo.load(evil_model).spec.to_data()
    entry = {
        "spec": spec,
        "blob": evil_model.read_bytes(),
        "license": EVIL,
        "metrics": {EVIL: {"mean": 0.5}, f"{EVIL}/test/top1": {"mean": 0.5}},
        "recipe": {EVIL: EVIL, "list": [EVIL, {EVIL: EVIL}]},
        "provenance": {EVIL: EVIL},
        "interface": EVIL,
    }
    registry: zoo.Registry = make_registry(
        evil_cnn={"1.0.0": entry, "1.1.0": {**entry, "status": {"yanked": EVIL}}}
    )
    index = registry.root / "registry.yaml"
    data = json.loads(index.read_text())
    data["variants"]["evil_cnn"]["summary"] = EVIL
    index.write_text(json.dumps(data))
    return zoo.Registry(registry.root)


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", "--json"),
        ("list", "--sort", f"{EVIL}/test/top1"),
        ("list", "--metric", EVIL),
        ("list", EVIL),
        ("show", "evil_cnn"),
        ("show", "evil_cnn@1.1.0"),
        ("show", "evil_cnn@1.1.0", "--json"),
        ("show", EVIL),
        ("get", "evil_cnn"),
        ("get", "evil_cnn@1.1.0"),
        ("lock", "evil_cnn@1.1.0"),
        ("verify", "evil_cnn@1.1.0"),
        ("verify", "--all"),
        ("registry", "list"),
        ("registry", "add", "evil", f"https://{EVIL}"),
        ("plugins",),
        (EVIL,),
        ("show", f"--{EVIL}"),
    ],
    ids=repr,
)
def test_no_command_passes_it_on(
    command: Any, evil_registry: zoo.Registry, words: tuple[str, ...], capsys: Any
) -> None:
    """Of an index: summary, reason of a withdrawal, licence, labels, figures, recipe, provenance."""
    outcome = command(*words, registry=evil_registry)
    assert is_plain(outcome.out)
    assert is_plain(outcome.err)


@pytest.mark.parametrize("columns", ["", "40", "80"])
def test_it_is_shown_as_what_it_is(
    command: Any, evil_registry: zoo.Registry, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """The summary, the reason and the licence can be read, escapes and all, at any width."""
    outcome = command("show", "evil_cnn@1.1.0", registry=evil_registry)
    assert outcome.out.count("[2J") > 10  # blocks of YAML have escapes of their own
    assert SHOWN in outcome.out
    assert SHOWN in outcome.err
    monkeypatch.setenv("COLUMNS", columns)
    listing = command("list", registry=evil_registry)
    assert is_plain(listing.out)
    assert SHOWN in listing.out


def test_files_and_their_labels(command: Any, evil_model: Path, tmp_path: Path) -> None:
    """What `show` says of a file, and the classes that `predict` names."""
    picture = tmp_path / "photo.png"
    Image.new("RGB", (8, 8)).save(picture)
    for words in (("show", str(evil_model)), ("predict", str(evil_model), str(picture))):
        outcome = command(*words)
        assert outcome.code == 0, outcome.err
        assert is_plain(outcome.out)
        assert "[2J" in outcome.out


def test_names_of_tensors(command: Any, tmp_path: Path) -> None:
    """The error for a file whose header is hostile."""
    header = json.dumps({EVIL: {"dtype": EVIL, "shape": [1], "data_offsets": [0, 4]}}).encode()
    file = tmp_path / "evil.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    outcome = command("show", str(file))
    assert outcome.code == 2
    assert is_plain(outcome.err)
    assert SHOWN in outcome.err


def test_a_registry_that_is_broken(command: Any, evil_registry: zoo.Registry) -> None:
    """Errors that quote what is wrong: unknown fields, wrong names, wrong versions."""
    index = evil_registry.root / "registry.yaml"
    good = index.read_text()
    escaped = json.dumps(EVIL)
    for wrong in (
        good.replace('"serial"', escaped, 1),
        good.replace('"evil_cnn"', escaped, 1),
        good.replace('"1.0.0"', escaped, 1),
        good.replace('"license"', escaped, 1),
        good.replace('"cbam"', escaped).replace('"se"', escaped),
        good.replace('"tests"', escaped, 1),
    ):
        assert wrong != good
        index.write_text(wrong)
        outcome = command("list", registry=evil_registry)
        assert is_plain(outcome.out)
        assert is_plain(outcome.err)
        assert SHOWN in outcome.out + outcome.err


def test_publishing_echoes_nothing_hostile(
    command: Any, evil_model: Path, evil_registry: zoo.Registry
) -> None:
    """What the publisher's own words and files say is escaped, too."""
    base = str(evil_registry.root)
    for words in (
        ("yank", "evil_cnn@1.0.0", "--registry", base, "--reason", EVIL),
        ("yank", EVIL, "--registry", base, "--reason", "x"),
        ("publish", EVIL, "--registry", base, "--name", "a", "--version", "1.0.0"),
        ("publish", str(evil_model), "--registry", f"s3://{EVIL}", "--name", "a", "--version", "1.0.0"),
        ("publish", str(evil_model), "--registry", base, "--name", EVIL, "--version", "1.0.0"),
        ("publish", str(evil_model), "--registry", base, "--name", "a", "--version", EVIL),
        ("publish", str(evil_model), "--registry", base, "--name", "a", "--version", "1.0.0", "--metric", EVIL),
    ):  # fmt: skip
        outcome = command(*words)
        assert is_plain(outcome.out)
        assert is_plain(outcome.err)
        assert SHOWN in outcome.out + outcome.err


def test_warnings_in_python_are_escaped(evil_registry: zoo.Registry) -> None:
    """Python writes warnings to the terminal by itself, so their text is safe as it is."""
    with pytest.warns(UserWarning, match="withdrawn by its publisher") as caught:
        zoo.describe("evil_cnn@1.1.0", registries=[evil_registry])
    assert all(is_plain(str(one.message)) for one in caught)

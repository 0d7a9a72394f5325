"""`zoo show` of a spec in the short form, and of slots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import zoo
from zoo.cli import main


def test_shows_what_a_spec_composes_to(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole spec, parameters by part, and where each attention stands."""
    assert main(["show", "attn_cnn(widths=[8], depths=1) + se@branch + gem", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["attentions"] == ["backbone.stages.0.blocks.0.branch"]
    assert shown["params_of"] == {
        "backbone": 216 + 16 + 2 * (576 + 16),
        "attention": 128,
        "head": 1,
    }
    assert main(["show", shown["text"]]) == 0
    assert "parameters  1,545" in capsys.readouterr().out


def test_shows_slots_as_a_tree(capsys: pytest.CaptureFixture[str]) -> None:
    """Blocks that offer the same stand in one line."""
    assert main(["show", "--slots", "attn_cnn(widths=[8, 16], depths=[1, 3])"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "attn_cnn(widths=[8, 16], depths=[1, 3])",
        "├── stage 1   stage: 8 channels",
        "│   └── block 1      conv: 8 channels   branch: 8 channels   block: 8 channels",
        "├── stage 2   stage: 16 channels",
        "│   └── blocks 1-3   conv: 16 channels   branch: 16 channels   block: 16 channels",
        "└── last: 16 channels",
    ]


def test_shows_the_slots_of_a_variant(capsys: pytest.CaptureFixture[str]) -> None:
    """A ref stands for the backbone of its version."""
    assert main(["show", "--slots", "attn_cnn_mnist", "--json"]) == 0
    slots = json.loads(capsys.readouterr().out)
    assert {slot["kind"] for slot in slots} == {"conv", "branch", "block", "stage"}


def test_shows_the_slots_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As those of the backbone that its spec names."""
    zoo.save(zoo.compose("plain_cnn(widths=[4, 8])"), tmp_path / "m.safetensors")
    assert main(["show", "--slots", str(tmp_path / "m.safetensors")]) == 0
    shown = capsys.readouterr().out
    assert main(["show", "--slots", "plain_cnn(widths=[4, 8])"]) == 0
    tree = capsys.readouterr().out
    assert shown.splitlines()[1:] == tree.splitlines()[1:]
    assert len(tree.splitlines()) > 4


def test_what_a_spec_leaves_to_the_data_is_as_for_any(capsys: pytest.CaptureFixture[str]) -> None:
    """Texts are shown with the kind and the tokens that nobody said, and what was said stays."""
    assert main(["show", "text_cnn(embedding_dim=2, maps=2) + max"]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("text(vocabulary_size=10000, vocabulary_bytes=0) -> text_cnn(")
    assert main(["show", "text(vocabulary_size=5, vocabulary_bytes=9) -> text_cnn + max"]) == 0
    assert capsys.readouterr().out.startswith("text(vocabulary_size=5, vocabulary_bytes=9) -> ")
    assert main(["show", "--slots", "text_cnn"]) == 0
    assert capsys.readouterr().out.startswith("text_cnn\n├── stage 1   stage: 300 channels\n")
    assert main(["show", "sequence(channels=2) -> plain_cnn(ndim=1) + avg"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "plain_cnn(ndim=1) + avg"], "sequence(channels=3) -> BACKBONE"),
        (["show", "attn_cnn + cbm@branch"], "No plug-in offers attention/cbm. Did you mean"),
        (["show", "attn_cnn + cbam@"], "not understood at character 17"),
        (["show", "--slots", "attn_cnm"], "attn_c"),
    ],
)
def test_bad_specs_are_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One clear message, exit code 2."""
    assert main(words) == 2
    assert message in capsys.readouterr().err

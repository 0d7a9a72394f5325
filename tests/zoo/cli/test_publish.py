"""`zoo publish` and `zoo yank`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.registry import examination, publishing


@pytest.fixture
def run_folder(small_spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run with its best file; files are examined in this process, which is quick."""
    monkeypatch.setattr(publishing, "examine_afresh", examination.examine)
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    model = zoo.compose(zoo.Spec.from_data(small_spec))
    zoo.save(model, folder / "best.safetensors", metrics={"pets/validation/top1": {"mean": 0.5}})
    return folder


def test_from_a_run_to_a_version_and_back(command: Any, run_folder: Path, tmp_path: Path) -> None:
    """Published with its figures and one more, used as the command says, withdrawn, and taken back."""
    base = str(tmp_path / "our-zoo")
    target = ("--registry", base, "--name", "our_cnn", "--version", "1.0.0")
    done = command(
        "publish", str(run_folder), *target, "--metric", "pets/test/top1=0.25", "--license", "MIT"
    )
    assert (done.code, done.err) == (0, "")
    first, second = done.out.splitlines()
    assert first.startswith(f"our_cnn@1.0.0 is published in {base}, sha256 ")
    model = eval(second.removeprefix("Use it: "), {"zoo": zoo})
    assert str(model.ref) == "our_cnn@1.0.0"
    shown = json.loads(command("show", "our_cnn", "--json", registry=zoo.Registry(base)).out)
    assert shown["license"] == "MIT"
    assert {name: one["mean"] for name, one in shown["metrics"].items()} == {
        "pets/validation/top1": 0.5,
        "pets/test/top1": 0.25,
    }
    done = command("yank", "our_cnn@1.0.0", "--registry", base, "--reason", "wrong split")
    assert done.out.startswith(f"our_cnn@1.0.0 is withdrawn in {base}: wrong split\n")
    done = command("yank", "our_cnn@1.0.0", "--registry", base, "--undo")
    assert done.out == f"our_cnn@1.0.0 is no longer withdrawn in {base}.\n"
    assert zoo.Registry(base).serial == 3


def test_a_similar_name_needs_a_word(command: Any, run_folder: Path, tmp_path: Path) -> None:
    """The error names the option, and the option works."""
    base = str(tmp_path / "our-zoo")
    publish = ("publish", str(run_folder), "--registry", base, "--version", "1.0.0", "--name")
    done = command(*publish, "our_cnn")
    assert done.code == 0
    assert "note: no licence is given" in done.err
    refused = command(*publish, "our_cnm")
    assert refused.code == 2
    assert "--allow-similar-name" in refused.err
    assert command(*publish, "our_cnm", "--allow-similar-name").code == 0


def test_what_is_laid_out_comes_with_its_commands(
    command: Any, run_folder: Path, tmp_path: Path, make_registry: Any
) -> None:
    """For where zoo cannot write; the order is told, and what is not checked."""
    base, stage = str(make_registry().root), tmp_path / "to upload"
    done = command(
        "publish", str(run_folder), "--registry", base, "--name", "our_cnn", "--version", "1.0.0", "--stage", str(stage)
    )  # fmt: skip
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert f"nothing is written to {base} yet" in lines[0]
    assert [line.split()[0] for line in lines if line.startswith("    ")] == ["rsync", "rsync"]
    assert f"'{stage}/blobs/'" in lines[2]
    assert f"'{stage}/registry.yaml'" in lines[3]
    assert lines[-1] == f"Then: rm -r '{stage}'"
    assert zoo.Registry(stage).serial == 2
    assert zoo.Registry(base).serial == 1


@pytest.mark.parametrize("metric", ["top1", "top1=", "top1=high"])
def test_a_figure_that_is_none_is_refused(command: Any, metric: str) -> None:
    """With the form that is right."""
    done = command(
        "publish", "x", "--registry", "y", "--name", "z", "--version", "1.0.0", "--metric", metric
    )
    assert done.code == 2
    assert f"--metric '{metric}' is not of the form NAME=VALUE" in done.err


def test_a_withdrawal_needs_a_reason(command: Any, make_registry: Any) -> None:
    """Nothing is changed without one."""
    registry = make_registry(our_cnn={"1.0.0": {}})
    done = command("yank", "our_cnn@1.0.0", "--registry", str(registry.root))
    assert done.code == 2
    assert "Say why the version is withdrawn (--reason)" in done.err
    assert zoo.Registry(registry.root).serial == 1

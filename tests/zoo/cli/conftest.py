"""How tests run the command: in this process on a registry of their own, or in a fresh one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import zoo
from zoo.cli import main
from zoo.registry import defaults


class Outcome(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]
PluginMaker = Callable[..., Path]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `zoo <words>` in this process. With `registry=`, that folder is the built-in one."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("ZOO_DEBUG", raising=False)

    def run(*words: str, registry: zoo.Registry | None = None) -> Outcome:
        if registry is not None:
            monkeypatch.setattr(defaults, "builtin_folder", lambda: registry.root)
        capsys.readouterr()
        code = main(words)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def team(make_registry: Callable[..., zoo.Registry], serve: Callable[..., Any]) -> Any:
    """A registry elsewhere, with a_net and b_net, which the user has added as team."""
    registry = make_registry(a_net={"1.0.0": {"blob": b"one"}}, b_net={"2.0.0": {"blob": b"two"}})
    mirror = serve(registry.root)
    zoo.add_registry("team", mirror.url)
    return mirror


@pytest.fixture
def process(tmp_path: Path, cache: Path) -> Command:
    """Run `zoo <words>` in a fresh process, which also finds plug-ins in `tmp_path / "site"`."""

    def run(*words: str, **environment: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "zoo", *words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), **environment},
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def make_plugin(tmp_path: Path) -> PluginMaker:
    """Write a distribution with one hook module, as an installer would lay it down."""

    def make(module: str, source: str, *, distribution: str = "", version: str = "1.0") -> Path:
        site = tmp_path / "site"
        name = distribution or module.replace("_", "-")
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[zoo]\n{module} = {module}\n")
        (site / f"{module}.py").write_text(source)
        return site

    return make

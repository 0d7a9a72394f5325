"""The pytest plug-in: one named test a property, and nothing loaded before it is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

MODULE = "zoo.testing.pytest_plugin"
INSTALLED = any(entry.value == MODULE for entry in entry_points(group="pytest11"))
PROJECT = Path(__file__).parents[3] / "pyproject.toml"

BROKEN = '''
import zoo
from torch import nn

@zoo.attention("mixing", family="channel", mask=False)
class Mixing(nn.Module):
    """Mix samples."""

    conformance_exceptions = {"sizes": "never needed"}

    def __init__(self, channels, *, ndim=2):
        super().__init__()

    def forward(self, x, mask=None):
        return x * x.flatten(1).mean(1).softmax(0).reshape(-1, *[1] * (x.ndim - 1))
'''


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, as a plug-in's author would."""
    load = [] if INSTALLED else ["-p", MODULE]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *load, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_one_named_test_a_property(tmp_path: Path) -> None:
    """What fails says what was expected and seen; skips say why; other tests are left out."""
    (tmp_path / "conftest.py").write_text(BROKEN)
    (tmp_path / "test_mine.py").write_text("def test_mine(): raise RuntimeError\n")
    done = run(tmp_path, "-v", "-rs", "--zoo-component", "attention/mixing")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "attention/mixing::shape PASSED" in done.stdout
    assert "attention/mixing::batch_independence FAILED" in done.stdout
    assert "seen:     128 of 128 values differ" in done.stdout
    assert "promised: In eval mode a sample's output does not depend" in done.stdout
    assert "Component(mask=False): models refuse a mask" in done.stdout
    assert "attention/mixing::sizes FAILED" in done.stdout
    assert "the declared exception (never needed) to be needed; remove it" in done.stdout
    assert "test_mine" not in done.stdout


def test_components_are_checked_beside_tests_that_are_named(tmp_path: Path) -> None:
    """Paths on the command line run as ever; -k picks properties; names may be several."""
    (tmp_path / "test_mine.py").write_text("def test_mine(): pass\n")
    names = ["--zoo-component", "head/avg", "--zoo-component", "head/max"]
    done = run(tmp_path, "-v", "test_mine.py", *names, "-k", "mine or dtype")
    assert done.returncode == 0, done.stdout + done.stderr
    for shown in ("test_mine.py::test_mine", "head/avg::dtype", "head/max::dtype"):
        assert f"{shown} PASSED" in done.stdout
    assert "3 passed" in done.stdout


def test_all_means_all_that_is_installed(tmp_path: Path) -> None:
    """Name spaces apart, which have no component of their own."""
    done = run(tmp_path, "--zoo-all", "--collect-only", "-q", "-k", "shape")
    assert done.returncode == 0, done.stdout + done.stderr
    for title in ("backbone/attn_cnn", "attention/se", "head/gem"):
        assert f"{title}::shape" in done.stdout
    assert "timm" not in done.stdout


def test_an_unknown_name_is_an_error_of_usage(tmp_path: Path) -> None:
    """With the near miss."""
    done = run(tmp_path, "--zoo-component", "attention/cbm")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "No plug-in offers attention/cbm. Did you mean 'cbam'" in done.stdout + done.stderr


def test_nothing_is_loaded_until_it_is_used(tmp_path: Path) -> None:
    """A test run of somebody who merely has the package installed pays for none of it."""
    (tmp_path / "test_mine.py").write_text(
        "import json, sys\n"
        "def test_mine(): open('loaded.json', 'w').write(json.dumps(sorted(sys.modules)))\n"
    )
    # Plug-ins of others may load what they like.
    only = ["-p", MODULE]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *only]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = json.loads((tmp_path / "loaded.json").read_text())
    assert MODULE in loaded
    ours = {name for name in loaded if name.startswith("zoo")}
    assert ours == {"zoo", "zoo.testing", MODULE}
    assert not {"torch", "numpy", "safetensors", "msgspec"} & set(loaded)


@pytest.mark.skipif(not PROJECT.is_file(), reason="only a checkout has pyproject.toml")
def test_the_entry_point_is_declared() -> None:
    """So that pytest finds the plug-in wherever the package is installed."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"zoo": MODULE}

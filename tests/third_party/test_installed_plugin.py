"""The guide's plug-in, built to a wheel, installed in an environment of its own, used and missed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import zoo

PACKAGE = Path(__file__).parent / "attn-zoo-gaussian"
GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment that has what this one has, and the plug-in."""
    folder = tmp_path_factory.mktemp("plugin")
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder,
        PACKAGE,
    ]
    run(*build)
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    site = next((folder / "env" / "lib").glob("python*/site-packages"))
    # Everything but the plug-in is taken from here: installing torch again would take minutes.
    (site / "outer.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n"
    )
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", *folder.glob("*.whl"))
    return python


@pytest.fixture(scope="module")
def saved(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a model that uses the plug-in, from the environment that has it."""
    path = tmp_path_factory.mktemp("saved") / "gaussian.safetensors"
    program = (
        "import zoo; model = zoo.compose('attn_cnn', {'name': 'gaussian_gate', 'slot': 'branch', 'width': 1.5},"
        " num_classes=3); zoo.save(model, __import__('sys').argv[1])"
    )
    run(environment, "-c", program, path)
    return path


def run(*command: object) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_guide_shows_the_package() -> None:
    """The guide's section is this package, file by file, to the letter."""
    section = GUIDE.read_text().partition("## Write a package")[2].partition("\n## ")[0]
    shown = dict(
        re.findall(r"^`([\w./-]+)`:\n\n```\w*\n(.*?)```", section, re.MULTILINE | re.DOTALL)
    )
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".toml")]
    assert shown == {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in files}


def test_command_knows_it(environment: Path) -> None:
    """`zoo list`, `zoo show` and `zoo plugins` know the plug-in's attention, and whose it is."""
    assert "gaussian_gate" in run(environment, "-m", "zoo", "list", "--components", "attention")
    shown = run(environment, "-m", "zoo", "show", "attention/gaussian_gate")
    assert "how ordinary" in shown
    assert "attn-zoo-gaussian 0.3.0" in shown
    assert "attn-zoo-gaussian" in run(environment, "-m", "zoo", "plugins")


def test_saved_file_records_it(environment: Path, saved: Path) -> None:
    """The file says which distribution and version the attention came from."""
    content = saved.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    components = json.loads(header["__metadata__"]["zoo"])["components"]
    assert components["attention/gaussian_gate"] == ["attn-zoo-gaussian", "0.3.0"]


def test_loads_where_it_is_installed(environment: Path, saved: Path) -> None:
    """A process that has the plug-in loads the file with its options, from the file alone."""
    program = (
        "import sys, zoo; print(zoo.load(sys.argv[1]).backbone.stages[0].blocks[0].branch.width)"
    )
    assert run(environment, "-c", program, saved).strip() == "1.5"


def test_names_what_to_install_where_it_is_not(saved: Path) -> None:
    """A process without the plug-in says which one to install."""
    with pytest.raises(
        zoo.PluginError, match=r"needs attention/gaussian_gate.*pip install attn-zoo-gaussian"
    ):
        zoo.load(saved)

"""The fuzzer runs every target for a moment, and says no where it must."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"
TARGETS = ("reader", "registry", "refs", "grammar", "weights", "loading")

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None,
        reason="needs atheris, which has no package for every system: pip install atheris",
    ),
    pytest.mark.skipif(not FUZZ.is_dir(), reason="only a checkout has the fuzzer"),
]


def fuzz(*words: str, keep: Path) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer."""
    command = [sys.executable, str(FUZZ / "fuzz.py"), *words, "--keep", str(keep)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("target", ["refs", "grammar", "reader", "registry"])
def test_some_hundred_inputs_find_nothing(tmp_path: Path, target: str) -> None:
    """Of each target that needs no torch, the same inputs each time; `fuzz/fuzz.py` looks for new ones."""
    done = fuzz(target, "--runs", "300", "--seed", "1", "--seconds", "60", keep=tmp_path)
    assert done.stdout == f"{target}: 300 inputs, nothing found\n", done.stdout
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_twenty_seconds_find_nothing(tmp_path: Path, target: str) -> None:
    """Of each target."""
    done = fuzz(target, "--seconds", "20", keep=tmp_path)
    assert done.stdout.endswith("inputs, nothing found\n"), done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise KeyError('an error that is none of ours')", "an error that is none of ours"),
        ("import os; os.abort()", "deadly signal|exit code -6|fuzz target exited|ABRT"),
    ],
    ids=["exception", "crash"],
)
def test_a_broken_target_is_a_finding(tmp_path: Path, fault: str, said: str) -> None:
    """An exception of another kind, and the death of the process; the input is kept."""
    broken = tmp_path / "broken.py"
    broken.write_text(f"def parse(data):\n    if len(data) > 2:\n        {fault}\n")
    done = fuzz(f"{broken}:parse", "--seconds", "30", keep=tmp_path / "kept")
    assert done.returncode == 1
    assert re.search(r"parse: \d+ inputs, a finding", done.stdout)
    assert re.search(said, done.stdout), done.stdout
    assert list((tmp_path / "kept").glob("parse-crash-*"))

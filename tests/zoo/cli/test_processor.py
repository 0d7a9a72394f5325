"""Setting up a process for long computing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zoo.cli.processor import prepare_processor
from zoo.errors import InvalidValue

_PROBE = """
import sys, torch
from zoo.cli.processor import prepare_processor
kept = prepare_processor(3)
print(torch.get_num_threads(), (torch.tensor(1e-30) * 1e-10).item() > 0, kept == sys.platform.startswith("linux"))
"""


def test_threads_and_arithmetic_are_set() -> None:
    """In a process of its own, since both hold for the whole of it."""
    done = subprocess.run(
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["3", "False", "True"]


def test_no_threads_are_refused() -> None:
    """And nothing is set."""
    with pytest.raises(InvalidValue, match="--threads is 0; give at least 1"):
        prepare_processor(0)

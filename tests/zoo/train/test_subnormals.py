"""Subnormal numbers count as zero, in every thread."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

_PROBE = """
import sys, torch
if sys.argv[1] == "flushed":
    from zoo.train.subnormals import flush_subnormals
    assert flush_subnormals()
torch.set_num_threads(2)
small = torch.full((2**20,), 1e-30)
print(((small * 1e-10) > 0).sum().item())
"""


def _subnormal_products(mode: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="the processor cannot")
def test_products_below_the_normal_numbers_are_zero() -> None:
    """Of a million products that two threads share, all are subnormal before, and none after."""
    assert _subnormal_products("default") == 2**20
    assert _subnormal_products("flushed") == 0

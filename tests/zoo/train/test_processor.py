"""What holds for a whole process, each in one of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from zoo.errors import InvalidValue
from zoo.train import processor
from zoo.train.processor import prepare_processor

_SETTINGS = """
import sys, torch
from zoo.train.processor import prepare_processor
kept = prepare_processor(3)
print(torch.get_num_threads(), kept == sys.platform.startswith("linux"))
"""

# A freed block of 64 MB stays with the process only if the thresholds were raised.
_FREED_BLOCK = """
import ctypes, sys
from zoo.train.processor import keep_large_blocks
before = int(open("/proc/self/statm").read().split()[1])
if sys.argv[1] == "set":
    assert keep_large_blocks()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
block = libc.malloc(64 * 2**20)
ctypes.memset(block, 1, 64 * 2**20)
libc.free(block)
pages = int(open("/proc/self/statm").read().split()[1]) - before
print(pages * 4096 // 2**20)
"""

_SUBNORMAL_PRODUCTS = """
import sys, torch
if sys.argv[1] == "set":
    from zoo.train.processor import prepare_processor
    prepare_processor(2)
torch.set_num_threads(2)
small = torch.full((2**20,), 1e-30)
print(((small * 1e-10) > 0).sum().item())
"""


def _printed(program: str, *words: str) -> str:
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_threads_are_set() -> None:
    """And it is told whether large blocks are kept, which only glibc can."""
    assert _printed(_SETTINGS).split() == ["3", "True"]


def test_no_threads_are_refused() -> None:
    """And nothing is set."""
    with pytest.raises(InvalidValue, match="--threads is 0; give at least 1"):
        prepare_processor(0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is on Linux only")
def test_freed_blocks_are_kept() -> None:
    """A large block that was freed stays with the process after the thresholds are raised, and not before."""
    assert int(_printed(_FREED_BLOCK, "set")) > 60
    assert int(_printed(_FREED_BLOCK, "default")) < 4


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called on another system."""
    monkeypatch.setattr(processor.sys, "platform", "darwin")
    monkeypatch.setattr(processor.ctypes, "CDLL", None)
    assert processor.keep_large_blocks() is False


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="the processor cannot")
def test_products_below_the_normal_numbers_are_zero() -> None:
    """Of a million products that two threads share, all are subnormal before, and none after."""
    assert int(_printed(_SUBNORMAL_PRODUCTS, "default")) == 2**20
    assert int(_printed(_SUBNORMAL_PRODUCTS, "set")) == 0

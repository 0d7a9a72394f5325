"""glibc's allocator keeps large blocks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zoo.train import allocator

# A freed block of 64 MB stays with the process only if the thresholds were raised.
_PROBE = """
import ctypes, sys
from zoo.train.allocator import keep_large_blocks
if sys.argv[1] == "raised":
    assert keep_large_blocks()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
block = libc.malloc(64 * 2**20)
ctypes.memset(block, 1, 64 * 2**20)
libc.free(block)
pages = int(open("/proc/self/statm").read().split()[1])
print(pages * 4096 // 2**20)
"""


def _resident_after_free(mode: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is on Linux only")
def test_freed_blocks_are_kept() -> None:
    """A large block that was freed stays with the process after the thresholds are raised, and not before."""
    assert _resident_after_free("raised") > 64
    assert _resident_after_free("default") < 64


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called on another system."""
    monkeypatch.setattr(allocator.sys, "platform", "darwin")
    monkeypatch.setattr(allocator.ctypes, "CDLL", None)
    assert allocator.keep_large_blocks() is False

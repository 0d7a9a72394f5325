"""What machine this is, in words: a time without them says nothing."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidValue

if TYPE_CHECKING:
    import torch


def open_device(name: str, *, compute: bool = True) -> torch.device:
    """The device of that name, on which torch was seen to compute.

    Args:
        name: E.g. `cuda` or `cuda:1`.
        compute: See it; what computes there takes memory of the device until this process ends.

    Raises:
        InvalidValue: There is no such device, or torch cannot use it.
    """
    import torch

    try:
        device = torch.device(name)
        if compute:
            float(torch.ones(1, device=device).sum())
    except Exception as error:
        reason = str(error).partition("\n")[0]
        there = ["cpu"]
        if torch.accelerator.is_available():
            kind = torch.accelerator.current_accelerator()
            there += [f"{kind}:{number}" for number in range(torch.accelerator.device_count())]
        raise InvalidValue(
            f"--device {name}: torch cannot use it on this machine ({reason:.160}). There is {', '.join(there)}."
        ) from error
    return device


def machine_data(device: torch.device) -> dict[str, Any]:
    """What a time on this device depends on, as plain data."""
    import torch

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "device": str(device),
        "processor": processor(),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "load": None if load is None else round(load, 2),
        "system": platform.system(),
        "torch": torch.__version__,
    }


def machine_line(data: dict[str, Any]) -> str:
    """The same in one line."""
    threads = f"{data['threads']} thread{'s' * (data['threads'] != 1)}"
    where = f"{data['processor']}, {threads} on {data['cores']} core{'s' * (data['cores'] != 1)}"
    if data["load"] is not None:
        where += f" (load {data['load']:.1f} before)"
    if data["device"] != "cpu":
        where = f"{data['accelerator'] or data['device']}; {where}"
    return f"{where}; {data['system']}; torch {data['torch']}"


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        lines = ""
    name = re.search(r"^model name\s*:\s*(\S.*)$", lines, re.MULTILINE)
    return name[1].strip() if name else platform.processor() or platform.machine()


def cores() -> int:
    """How many cores this process may use."""
    if sys.platform.startswith("linux"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""How long it takes to create a timm architecture with weights from a local file: zoo against timm itself.

    python benchmarks/create.py [resnet18 resnet50 ...]

Both read the same safetensors file, interleaved, in one process after a first run of each that is not
counted. `timm` is `timm.create_model(pretrained=True)` with the file; `backbone` is our plug-in's class
with its native head; `zoo` is `zoo.compose`, the whole road. Resident memory is the growth in a fresh
process: after creation, and after one forward, which reads the weights in.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from zoo_timm.backbone import TimmBackbone

import zoo
from zoo.composition.initialization import NoRandomInit


def with_timm(name: str, file: str) -> Any:
    """Create it as a user of timm does."""
    return timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": file}).eval()


def with_backbone(name: str, file: str) -> Any:
    """Create it from the parts of the plug-in."""
    with NoRandomInit():
        backbone = TimmBackbone(3, architecture=name)
    backbone.load_pretrained(file)
    return torch.nn.Sequential(backbone, *backbone.native_head()).eval()


def with_zoo(name: str, file: str) -> Any:
    """Create it as a user of zoo does."""
    return zoo.compose({"name": f"timm/{name}", "pretrained": file}, head="native").eval()


WAYS: dict[str, Callable[[str, str], Any]] = {
    "timm": with_timm,
    "backbone": with_backbone,
    "zoo": with_zoo,
}


def resident() -> float:
    """Resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(way: str, name: str, file: str) -> tuple[float, float]:
    """Return the growth of resident memory in a fresh process: by creation, and by a forward after it."""
    command = [sys.executable, "-W", "ignore", __file__, "--memory", way, name, file]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    created, ran = map(float, text.split())
    return created, ran


def main() -> None:
    """Print one line an architecture and way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("architectures", nargs="*", default=["resnet18", "resnet50"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--memory", nargs=3, metavar=("WAY", "NAME", "FILE"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        way, name, file = arguments.memory
        before = resident()
        model = WAYS[way](name, file)
        created = resident()
        with torch.inference_mode():
            model(torch.zeros(1, 3, 224, 224))
        print(created - before, resident() - created)
        return
    for name in arguments.architectures:
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "model.safetensors")
            save_file(timm.create_model(name).state_dict(), file)
            times: dict[str, list[float]] = {way: [] for way in WAYS}
            for turn in range(arguments.rounds + 1):
                for way, create in WAYS.items():
                    started = time.process_time()
                    create(name, file)
                    if turn:
                        times[way].append(1e3 * (time.process_time() - started))
            middle = {way: statistics.median(values) for way, values in times.items()}
            for way, milliseconds in middle.items():
                created, ran = memory(way, name, file)
                print(
                    f"{name:12} {way:9} {milliseconds:7.1f} ms  timm is {middle['timm'] / milliseconds:5.1f} times that;"
                    f"  {created:6.1f} MiB resident after creation, {ran:+6.1f} by the first forward"
                )


if __name__ == "__main__":
    main()

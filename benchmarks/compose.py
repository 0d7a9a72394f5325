"""What composing costs: throughput of a composed network against timm's own, and the time to build it.

    python benchmarks/compose.py [--compile] [--threads 2] [--rounds 15] [--batch 8]

Both sides hold the same layers and channels; they take turns within one run, and the medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import timm
import torch

import zoo
from zoo.api import plan_for
from zoo.composition.building import build

TEXT = "timm/resnet50 + se@branch(use_bias=true) + native"


def interleaved(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each side, taking turns."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for step in range(rounds + 2):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if step >= 2:  # the first two rounds warm up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def show(title: str, medians: dict[str, float], *, unit: str = "ms") -> None:
    """Print both sides and their ratio."""
    (ours, a), (theirs, b) = medians.items()
    print(
        f"{title:34s} {ours} {a * 1e3:9.1f} {unit}   {theirs} {b * 1e3:9.1f} {unit}   ratio {a / b:.3f}"
    )


def throughput(args: argparse.Namespace) -> None:
    """Inference of resnet50 with squeeze-excitation, composed and timm's own."""
    ours = zoo.compose(TEXT).eval()
    theirs = timm.create_model("seresnet50").eval()
    count = [sum(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    print(f"parameters: composed {count[0]:,}, timm {count[1]:,}")
    x = torch.randn(args.batch, 3, 224, 224)
    modes = [("eager", lambda model: model)]
    if args.compile:
        modes.append(("compiled", torch.compile))
    for mode, wrap in modes:
        for layout in (torch.contiguous_format, torch.channels_last):
            a, b = wrap(ours.to(memory_format=layout)), wrap(theirs.to(memory_format=layout))
            y = x.to(memory_format=layout)
            with torch.inference_mode():
                medians = interleaved(
                    {"composed": lambda a=a, y=y: a(y), "timm": lambda b=b, y=y: b(y)}, args.rounds
                )
            show(f"{mode}, {str(layout).removeprefix('torch.')}", medians)


def building(args: argparse.Namespace) -> None:
    """Building without random numbers, against timm's build on the meta device."""
    plan = plan_for(zoo.compose(TEXT).spec)

    def on_meta() -> object:
        with torch.device("meta"):
            return timm.create_model("seresnet50")

    show(
        "build",
        interleaved(
            {"composed": lambda: build(plan, initialize=False), "timm on meta": on_meta},
            args.rounds,
        ),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    building(args)
    throughput(args)


if __name__ == "__main__":
    main()

"""What it brings to keep large blocks of memory: training steps of a loop written by hand, with and without.

    python benchmarks/large_blocks.py [REF-or-SPEC ...] [--batch 128] [--steps 10] [--rounds 5] [--threads 2]

Each measurement is a process of its own, which is started with the variables that docs/training.md names, or without
them; the two take turns. Models take images of 3x32x32. A step is forward, backward and SGD in float32. Its time is the
median over the steps of a process, after three that are not counted, and the figure the median over the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional

import zoo
from zoo.grammar import is_short_form

RAISED = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}
UNCOUNTED = 3


def seconds_of_a_step(what: str, batch: int, steps: int, threads: int) -> float:
    """Train a model on images that are noise, in this process."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = zoo.compose(what, num_classes=10) if is_short_form(what) else zoo.create(what)
    optimizer = torch.optim.SGD(model.train().parameters(), lr=0.01, momentum=0.9)
    x = torch.randn(batch, 3, 32, 32)
    labels = torch.randint(model.num_classes, (batch,))
    times = []
    for _ in range(UNCOUNTED + steps):
        began = time.perf_counter()
        optimizer.zero_grad()
        functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
    return statistics.median(times[UNCOUNTED:])


def in_a_process(what: str, args: argparse.Namespace, variables: dict[str, str]) -> float:
    """The same in a fresh process with these variables beside its own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    numbers = [f"--{name}={getattr(args, name)}" for name in ("batch", "steps", "threads")]
    command = [sys.executable, str(Path(__file__).resolve()), what, *numbers, "--alone"]
    done = subprocess.run(
        command, env={**own, **variables}, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="*", default=["attn_cnn_small", "resnet_cifar + avg"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        print(seconds_of_a_step(args.what[0], args.batch, args.steps, args.threads))
        return
    print(f"{'images a second':32}{'as it is':>10}{'raised':>10}{'times':>8}")
    for what in args.what:
        pairs = [
            (in_a_process(what, args, {}), in_a_process(what, args, RAISED))
            for _ in range(args.rounds)
        ]
        usual, kept = (args.batch / statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(before / after for before, after in pairs)
        print(f"{what:32}{usual:10.0f}{kept:10.0f}{ratio:8.2f}")


if __name__ == "__main__":
    main()

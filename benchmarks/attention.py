"""How fast the attentions and heads are: against timm's modules of the same function, and against a copy of the map.

    python benchmarks/attention.py                            everything, about an hour
    python benchmarks/attention.py se cbam head/gem           those
    python benchmarks/attention.py se --shapes 32,64,32,32 --dtypes float32 --layouts nchw --modes train
    python benchmarks/attention.py --timm --json figures.json       only what timm has, too

A cell is one module, shape, dtype, layout and mode: `infer` is a forward in eval mode without gradients, `train`
a forward and backward in training mode, with gradients of the map and of all parameters. In a cell ours, timm's
(each class that computes the same, see counterparts.py) and a copy of the map take turns; the medians are
compared: `timm` is the time of timm's fastest as a multiple of ours, `copies` the time of ours as a multiple of
the copy's. With one thread its processor time is taken, so that other processes on the machine disturb less.
What cannot run (a width or size that is refused, memory over `--memory`) is named with its reason.
The allocator is tuned as zoo's trainer does; `--plain-allocator` leaves it.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import torch
import zoo_attention
import zoo_pooling
from counterparts import SAME, Same
from torch import Tensor, nn

from zoo import Component
from zoo.train.processor import keep_large_blocks

SHAPES = ((32, 64, 32, 32), (8, 256, 56, 56), (8, 512, 14, 14), (8, 1024, 7, 7))
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
MODES = ("infer", "train")


@dataclass
class Cell:
    """What was measured: medians in microseconds, and why something could not be."""

    module: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    mode: str
    ours: float = math.nan
    copy: float = math.nan
    theirs: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Time of timm's fastest as a multiple of ours; not a number where one is missing."""
        return min(self.theirs.values(), default=math.nan) / self.ours

    def line(self) -> str:
        """Return the cell as a line of the table."""
        shape = "x".join(map(str, self.shape))
        start = f"{self.module:34} {shape:13} {self.dtype:8} {self.layout:13} {self.mode:5}"
        figures = f"{self.ours:9.0f} us {self.ours / self.copy:6.1f} copies"
        if self.theirs:
            name = min(self.theirs, key=lambda key: self.theirs[key])
            figures += f"   timm {self.ratio:5.2f}  {name}"
        reasons = "".join(f"   {who}: {why}" for who, why in self.refused.items())
        return start + (figures if self.ours == self.ours else " " * 12) + reasons


def components() -> dict[str, Component]:
    """Return the attentions and heads by kind and name."""
    offered = {f"attention/{c.name}": c for c in zoo_attention.COMPONENTS}
    return offered | {f"head/{c.name}": c for c in zoo_pooling.COMPONENTS}


def variants(name: str) -> list[Same]:
    """Return the options to measure a component with: those that timm has, too, or its defaults."""
    return SAME.get(name, [Same({})])


def lay_out(module: nn.Module, layout: torch.memory_format) -> nn.Module:
    """Return the module with the kernels of its two-dimensional convolutions in a layout."""
    for parameter in module.parameters():
        if parameter.ndim == 4:  # `Module.to` would refuse five axes, which timm's lambda layer has
            parameter.data = parameter.data.contiguous(memory_format=layout)
    return module


def runner(module: nn.Module, x: Tensor, mode: str) -> Callable[[], object]:
    """Return what is timed."""
    if mode == "infer":
        module.eval()

        def forward() -> None:
            with torch.inference_mode():
                module(x)

        return forward
    module.train()
    leaf = x.detach().requires_grad_()
    wanted = [leaf, *module.parameters()]
    with torch.no_grad():
        direction = torch.randn_like(module(leaf))

    def step() -> None:
        torch.autograd.grad(module(leaf), wanted, direction, allow_unused=True)

    return step


def medians(sides: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Return the median microseconds of each side, taking turns for some time, at least 3 turns."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {side: [] for side in sides}
    for run in sides.values():  # the first two runs are not counted
        run()
        run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["ours"]) < 3:
        turn = random.sample(list(sides), len(sides))  # who comes second finds the map in the cache
        for side in turn:
            run = sides[side]
            started = clock()
            run()
            times[side].append(1e6 * (clock() - started))
    return {side: statistics.median(values) for side, values in times.items()}


def measure(cell: Cell, component: Component, same: Same, arguments: argparse.Namespace) -> None:
    """Fill in one cell."""
    _, channels, side, _ = cell.shape
    dtype, layout = DTYPES[cell.dtype], LAYOUTS[cell.layout]
    options = same.options | ({same.side_option: side} if same.side_option else {})
    makes = {"ours": lambda *_: component.load()(channels, **options), **same.theirs}
    x = torch.randn(cell.shape).to(dtype).contiguous(memory_format=layout)
    sides: dict[str, Callable[[], object]] = {}
    for name, make in makes.items():
        try:
            module = lay_out(make(channels, side).to(dtype), layout)
            if arguments.compile:
                module = torch.compile(module)
            sides[name] = runner(module, x, cell.mode)
            sides[name]()
        except Exception as error:  # whatever a module of others raises, the table goes on
            sides.pop(name, None)
            text = str(error).strip() or type(error).__name__
            memory = "can't allocate memory" in text
            cell.refused[name] = "out of memory" if memory else text.splitlines()[0][:100]
    if "ours" not in sides:
        return
    found = medians(sides | {"copy": x.clone}, arguments.seconds)
    cell.ours, cell.copy = found.pop("ours"), found.pop("copy")
    cell.theirs = found


def cells(arguments: argparse.Namespace) -> Iterator[Cell]:
    """Measure all cells that were asked for, one after the other."""
    offered = components()
    chosen = [
        name
        for name in offered
        if not arguments.modules or {name, name.split("/")[1]} & set(arguments.modules)
    ]
    grid = list(product(arguments.shapes, arguments.dtypes, arguments.layouts, arguments.modes))
    for name in chosen:
        for same, place in product(variants(name), grid):
            if arguments.timm and not same.theirs:
                continue
            options = ",".join(f"{key}={value}" for key, value in same.options.items())
            cell = Cell(f"{name}({options})" if options else name, *place)
            torch.manual_seed(0)
            torch._dynamo.reset()
            measure(cell, offered[name], same, arguments)
            gc.collect()
            yield cell


def summarize(found: list[Cell]) -> None:
    """Print the geometric means, the cells where timm is faster, and those that timm cannot run."""
    for mode in (*MODES, "all"):
        logs = [
            math.log(cell.ratio)
            for cell in found
            if mode in (cell.mode, "all") and not math.isnan(cell.ratio)
        ]
        if logs:
            mean = math.exp(statistics.fmean(logs))
            print(
                f"{mode}: timm takes {mean:.2f} times as long, geometric mean of {len(logs)} cells"
            )
    slower = sorted((cell for cell in found if cell.ratio < 1), key=lambda cell: cell.ratio)
    print(f"timm is faster in {len(slower)} cells, by more than 5 % in those:")
    for cell in slower:
        if cell.ratio < 0.95:
            print(" ", cell.line())
    refused = sorted({(c.module, who, why) for c in found for who, why in c.refused.items()})
    print(f"could not run in all cells: {len(refused)}")
    for module, who, why in refused:
        print(f"  {module}: {who}: {why}")


def _shape(text: str) -> tuple[int, ...]:
    shape = tuple(map(int, text.split(",")))
    if len(shape) != 4 or shape[2] != shape[3]:
        raise argparse.ArgumentTypeError(f"{text} is no N,C,H,W with H = W")
    return shape


def parse() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", help="names, e.g. se or head/avg; all if none")
    parser.add_argument("--shapes", nargs="+", type=_shape, default=SHAPES, metavar="N,C,H,W")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--timm", action="store_true", help="only modules that timm has, too")
    parser.add_argument("--compile", action="store_true", help="compile all sides")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5, help="for a cell, at least 3 turns")
    parser.add_argument("--memory", type=float, default=12, help="GiB that a module may take")
    parser.add_argument("--plain-allocator", action="store_true")
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    names = components()
    for name in arguments.modules:
        if name not in names and name not in {full.split("/")[1] for full in names}:
            parser.error(f"{name} is no attention or head; there are {', '.join(names)}")
    return arguments


def main() -> None:
    """Print one line a cell, and a summary."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    limit = int(arguments.memory * 2**30)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))  # beyond it an allocation fails
    if not arguments.plain_allocator:
        keep_large_blocks()
    found = []
    for cell in cells(arguments):
        found.append(cell)
        print(cell.line(), flush=True)
    summarize(found)
    if arguments.json:
        rows: list[dict[str, Any]] = [asdict(cell) for cell in found]
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    sys.exit(0)


if __name__ == "__main__":
    main()

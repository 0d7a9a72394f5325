"""What a large registry costs: compiling its index, listing it, looking one version up.

    python benchmarks/registry.py [--variants 1000 10000 100000] [--rounds 7] [--no-yaml]

For each size a registry is generated, whose versions are of about 1 KB as ours are. Compiling runs in a fresh
process, of which time, time of the processor (a busy machine makes the clock run longer) and peak of resident
memory are stated; beside it, in another, `yaml.load` of the same file with PyYAML's C loader, which checks nothing. Then whole commands, from the start of the process to its
end, by their median: `zoo list` (a table of the first 1000), conditions, order, and everything as JSON;
and in one process the median of look-ups and the answer to a misspelt name.
Aims at 100,000 variants: `zoo list` in 0.3 s with memory that does not grow, a look-up in 1 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

COMMANDS = {
    "zoo list": ["list"],
    "zoo list net_0000*": ["list", "net_0000*"],
    "zoo list --backbone resnet_cifar": ["list", "--backbone", "resnet_cifar"],
    "zoo list --metric 'pets/test/top1>0.99'": ["list", "--metric", "pets/test/top1>0.99"],
    "zoo list --sort params": ["list", "--sort", "params"],
    "zoo list --sort pets/test/top1": ["list", "--sort", "pets/test/top1"],
    "zoo list --json": ["list", "--json"],
    "python -c pass": [],
}
_MEASURED = """
import resource, runpy, sys, time
start = time.perf_counter()
{work}
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"{{seconds}} {{used.ru_utime + used.ru_stime}} {{used.ru_maxrss / 1024}}", file=sys.stderr)
"""
_COMPILE = "from zoo import Registry; Registry(sys.argv[1])"
_YAML = "import yaml; yaml.load(open(sys.argv[1] + '/registry.yaml', 'rb'), yaml.CSafeLoader)"
_LIST = "from zoo.cli import main; main(sys.argv[1:])"


def generate(variants: int) -> Iterator[str]:
    """Yield the lines of a registry.yaml."""
    draw = random.Random(variants)
    yield "schema: 1\nid: generated\nserial: 1\nvariants:\n"
    for number in range(variants):
        backbone = draw.choice(["attn_cnn", "plain_cnn", "resnet_cifar", "timm/resnet50"])
        attention = draw.choice(["se", "cbam", "eca", "coord", "mhsa", "ge"])
        yield f"""\
  net_{number:06}:
    summary: Generated variant number {number}.
    versions:
      1.0.0:
        spec:
          input:
            kind: image
            channels: 3
            size: [32, 32]
            mean: [0.49, 0.48, 0.45]
            std: [0.25, 0.24, 0.26]
          backbone:
            name: {backbone}
            widths: [32, 64, 128]
            depths: [2, 2, 2]
          attention:
          - name: {attention}
            slot: branch
            reduction: 8
          head:
            name: gem
            dropout: 0.1
          output:
            num_classes: {draw.randint(2, 1000)}
        requires:
          attn-zoo: '>=0.1'
        weights:
          sha256: {draw.getrandbits(256):064x}
          size: {draw.randint(10**5, 10**8)}
        params: {draw.randint(10**4, 10**8)}
        metrics:
          pets/test/top1:
            mean: {draw.random():.4f}
            std: 0.002
            seeds: 3
        recipe:
          epochs: 30
          optimizer: sgd
        license: Apache-2.0
        provenance:
          data: pets
          created: '2026-01-01'
"""


def measured(work: str, *words: str) -> tuple[float, float, float]:
    """Return seconds, those of the processor, and peak of memory in MiB of some work in a fresh process."""
    command = [sys.executable, "-c", _MEASURED.format(work=work), *words]
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True
    )
    seconds, processor, peak = map(float, done.stderr.split()[-3:])
    return seconds, processor, peak


def processor_time() -> float:
    """Seconds that finished processes of ours have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def commands(rounds: int) -> None:
    """Print the times of whole commands, interleaved, and their peaks of memory."""
    times: dict[str, list[tuple[float, float]]] = {case: [] for case in COMMANDS}
    for turn in range(rounds + 1):
        for case, words in COMMANDS.items():
            command = [sys.executable, *(["-m", "zoo", *words] if words else ["-c", "pass"])]
            start, before = time.perf_counter(), processor_time()
            subprocess.run(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
            )
            if turn:  # the first fills the caches of the disk
                clock = time.perf_counter() - start
                times[case].append((clock, processor_time() - before))
    for case, values in times.items():
        peak = f", peak{measured(_LIST, *COMMANDS[case])[2]:5.0f} MiB" if COMMANDS[case] else ""
        clock, processor = (1e3 * statistics.median(column) for column in zip(*values, strict=True))
        print(f"  {case:42}{clock:8.0f} ms, processor {processor:6.0f} ms{peak}")


def look_ups(root: Path, variants: int) -> None:
    """Print the times of look-ups in this process."""
    from zoo import Registry, UnknownName, describe

    registries = [Registry(root)]
    draw = random.Random(0)
    times = []
    for _ in range(300):
        ref = f"net_{draw.randrange(variants):06}@1"
        start = time.perf_counter()
        describe(ref, registries=registries)
        times.append(1e3 * (time.perf_counter() - start))
    print(f"  one look-up                               {statistics.median(times):8.2f} ms")
    times = []
    for _ in range(10):
        start = time.perf_counter()
        try:
            describe(f"nett_{draw.randrange(variants):06}x", registries=registries)
        except UnknownName:
            times.append(1e3 * (time.perf_counter() - start))
    print(f"  the near misses of an unknown name        {statistics.median(times):8.0f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-yaml", action="store_true", help="leave the comparison out")
    arguments = parser.parse_args()
    for variants in arguments.variants:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "registry"
            root.mkdir()
            with open(root / "registry.yaml", "w", encoding="utf-8") as file:
                file.writelines(generate(variants))
            os.environ["ZOO_CACHE"] = str(Path(folder) / "cache")
            os.environ["ZOO_CONFIG"] = str(Path(folder) / "registries.yaml")
            Path(os.environ["ZOO_CONFIG"]).write_text(
                f"- name: generated\n  base: {json.dumps(str(root))}\n", encoding="utf-8"
            )
            size = (root / "registry.yaml").stat().st_size / 2**20
            print(f"{variants} variants, {size:.1f} MiB of YAML")
            cases = {"compiling": _COMPILE, "yaml.load": _YAML}
            for case, work in list(cases.items())[: 1 if arguments.no_yaml else 2]:
                clock, processor, peak = measured(work, str(root))
                print(
                    f"  {case:44}{clock:6.1f} s,  processor {processor:6.1f} s,  peak{peak:5.0f} MiB"
                )
            commands(arguments.rounds)
            look_ups(root, variants)


if __name__ == "__main__":
    main()

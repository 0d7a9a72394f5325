"""Throw made-up inputs at what reads strangers' bytes, and report what is not refused as it should be.

    python fuzz/fuzz.py                          # every target, 60 s each
    python fuzz/fuzz.py reader --seconds 600     # one, ten minutes
    python fuzz/fuzz.py my_targets.py:parse      # a function of another file

A target is a function of `targets.py`. It runs under atheris in a process of its own, so that a crash, an
endless loop (10 s for one input) and a flood of memory (3 GB) are findings as well as an exception that is
none of ours. The input that led to a finding is kept in the folder `--keep`. Exit code: 1 if there is a
finding, else 0. Needs `pip install atheris`.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGETS = ("reader", "registry", "refs", "grammar", "weights", "loading")
_RUNS = re.compile(r"stat::number_of_executed_units: (\d+)|#(\d+)\t")


def fuzz(
    target: str, seconds: int, keep: Path, *, runs: int = -1, seed: int = 0
) -> tuple[int, str]:
    """Fuzz one target for a time. The seed 0 stands for another one each time.

    Returns:
        How many inputs were run, and what was found; empty if it is nothing.
    """
    place = target if ":" in target else f"{HERE / 'targets.py'}:{target}"
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        command = [
            sys.executable,
            str(HERE / "engine.py"),
            place,
            f"-max_total_time={seconds}",
            f"-runs={runs}",
            f"-seed={seed}",
            "-timeout=10",
            "-rss_limit_mb=3072",
            "-max_len=4096",
            "-print_final_stats=1",
            f"-artifact_prefix={keep / target.rpartition(':')[2]}-",
            str(corpus),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            check=False,
        )
    runs = max((int(one or other) for one, other in _RUNS.findall(done.stdout)), default=0)
    if done.returncode == 0:
        return runs, ""
    said = [line for line in done.stdout.splitlines() if line.strip()]
    start = next((n for n, line in enumerate(said) if "ERROR" in line or "Uncaught" in line), 0)
    return runs, "\n".join([*said[start:][:40], f"exit code {done.returncode}"])


def main() -> int:
    """Fuzz what was asked for, and print one line each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--runs", type=int, default=-1, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=0, help="for the same inputs again; 0: others")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "zoo-fuzz")
    arguments = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is missing: pip install atheris")
    arguments.keep.mkdir(parents=True, exist_ok=True)
    found = False
    for target in arguments.targets:
        runs, finding = fuzz(
            target, arguments.seconds, arguments.keep, runs=arguments.runs, seed=arguments.seed
        )
        print(f"{target}: {runs} inputs, {'a finding' if finding else 'nothing found'}", flush=True)
        if finding:
            print(finding, f"The input is in {arguments.keep}.", sep="\n")
        found = found or bool(finding)
    return int(found)


if __name__ == "__main__":
    sys.exit(main())

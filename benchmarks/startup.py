"""How long the command takes to start, against a Python that does nothing.

    python benchmarks/startup.py [--rounds 30]

Every case runs once a round, so that a busy machine disturbs all of them alike. The median of the
processes' wall-clock times is stated, and its ratio to that of `python -c pass`. Aim: `zoo list` <= 6.
Python may keep compiled modules, as in any installation, whatever PYTHONDONTWRITEBYTECODE says here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import time

COMMAND = shutil.which("zoo", path=sysconfig.get_path("scripts"))
START = [COMMAND] if COMMAND else [sys.executable, "-m", "zoo"]
CASES = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import zoo": [sys.executable, "-c", "import zoo"],
    "import pluggy": [sys.executable, "-c", "import pluggy"],
    "zoo --help": [*START, "--help"],
    "zoo list": [*START, "list"],
    "zoo list --components": [*START, "list", "--components"],
}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {case: [] for case in CASES}
    for number in range(rounds + 1):
        for case, words in CASES.items():
            start = time.perf_counter()
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=environment)
            if number:  # the first round fills the caches of the disk, and compiles
                times[case].append(time.perf_counter() - start)
    bare = statistics.median(times["python -c pass"])
    print(f"{'case':<24}{'median':>9}{'fastest':>10}{'ratio':>8}   ({rounds} rounds)")
    for case, values in times.items():
        median = statistics.median(values)
        print(f"{case:<24}{1e3 * median:6.1f} ms{1e3 * min(values):7.1f} ms{median / bare:8.2f}")


if __name__ == "__main__":
    main()

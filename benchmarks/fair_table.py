"""Keep the figures of a plan's trainings beside this file, without weights: what the fair table is made of.

mkdir -p runs && cp -r benchmarks/fair_table runs/fair          # what is there already is not trained again
zoo train --plan recipes/fair_table.yaml --data cifar10-jpeg --root DIR --output runs/fair
zoo compare runs/fair/* --plan recipes/fair_table.yaml --data cifar10-jpeg --root DIR
python benchmarks/fair_table.py runs/fair
zoo compare benchmarks/fair_table/* --plan recipes/fair_table.yaml --latency --threads 1 --markdown
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from zoo.train.plan import Training, read_plan

PLAN = Path(__file__).resolve().parent.parent / "recipes" / "fair_table.yaml"
KEPT = Path(__file__).resolve().parent / "fair_table"


def main() -> None:
    """Keep them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, help="the folder that the runs are in")
    args = parser.parse_args()
    for training in read_plan(PLAN).trainings:
        keep(training, args.runs)


def keep(training: Training, runs: Path) -> None:
    """Copy the figures of a training that was measured, without where on a machine it was."""
    run, kept = runs / training.folder, KEPT / training.folder
    if not (run / "evaluations.json").is_file():
        return
    kept.mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "result.json", "evaluations.json"):
        content = json.loads((run / name).read_text())
        if name == "run.json":
            content["what"] = f"recipes/{PLAN.name}"
            content["request"]["root"] = None
        (kept / name).write_text(json.dumps(content, indent=1) + "\n")
    print(f"{training.folder}: kept")


if __name__ == "__main__":
    main()

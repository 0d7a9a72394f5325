"""Train what is missing of the fair table: one attention after another in the same backbone, slot and recipe.

    python benchmarks/fair_table.py --root DIR --output runs/fair             # all that is missing, one by one
    python benchmarks/fair_table.py --root DIR --output runs/fair --only se --threads 1
    zoo compare runs/fair/* --plan recipes/fair_table.yaml --data cifar10-jpeg --root DIR
    python benchmarks/fair_table.py --output runs/fair --keep       # the figures alone, beside this file
    zoo compare benchmarks/fair_table/* --plan recipes/fair_table.yaml --latency --threads 1 --markdown

It can be stopped and started again at any time: a training that was begun is resumed. Several may run side by
side, one a core, as long as `--only` gives each rows of its own. What is kept already is not trained again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import yaml

from zoo.train.plan import Training, read_plan

PLAN = Path(__file__).resolve().parent.parent / "recipes" / "fair_table.yaml"
KEPT = Path(__file__).resolve().parent / "fair_table"


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", help="the folder that the data's files are in")
    parser.add_argument("--output", required=True, type=Path, help="where the runs' folders go")
    parser.add_argument("--plan", type=Path, default=PLAN)
    parser.add_argument("--only", nargs="+", metavar="ROW", help="these rows only")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--keep", action="store_true", help="keep figures, and train nothing")
    args = parser.parse_args()
    if not args.keep and args.root is None:
        parser.error("to train, give --root")
    plan = read_plan(args.plan)
    for training in plan.trainings:
        if args.only is not None and training.title not in args.only:
            continue
        if args.keep:
            keep(training, args.output)
        else:
            train(training, plan.data, args)


def train(training: Training, data: str, args: argparse.Namespace) -> None:
    """Train one row with one seed, or go on with it; what has ended is left as it is."""
    folder = args.output / training.folder
    if any((root / training.folder / "result.json").is_file() for root in (args.output, KEPT)):
        print(f"{training.folder}: there already")
        return
    command = [sys.executable, "-m", "zoo", "train", "--threads", args.threads]
    if (folder / "last.ckpt").is_file():
        command += ["--resume", str(folder)]
    else:
        args.output.mkdir(parents=True, exist_ok=True)
        what = args.output / f"{training.folder}.yaml"
        content = {"spec": training.spec.to_data(), "recipe": dict(training.recipe)}
        what.write_text(yaml.safe_dump(content, sort_keys=False))
        command += [str(what), "--data", data, "--root", args.root, "--output", str(folder)]
    print(f"{training.folder}: {' '.join(command[1:])}", flush=True)
    subprocess.run(command, check=True)


def keep(training: Training, output: Path) -> None:
    """Copy the figures of a training that has ended, without where on a machine it was."""
    run, kept = output / training.folder, KEPT / training.folder
    if not (run / "evaluations.json").is_file():
        return
    kept.mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "result.json", "evaluations.json"):
        content = json.loads((run / name).read_text())
        if name == "run.json":
            content["what"] = f"{training.folder}.yaml"
            content["request"]["root"] = None
        (kept / name).write_text(json.dumps(content, indent=1) + "\n")
    print(f"{training.folder}: kept")


if __name__ == "__main__":
    main()

"""One training in several processes: the same as in one."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.train.processes import ALONE, Processes

# Without batch norm, whose statistics each process takes of its own share, and without chance.
SPEC = """\
spec:
  input: {kind: text}
  backbone: {name: text_cnn, embedding_dim: 8, maps: 8, kernel_sizes: [1, 2]}
  head: {name: max}
recipe: {epochs: 3, batch_size: 16, learning_rate: 0.02, augment: [], seed: 1}
"""


def train(folder: Path, output: Path, *launcher: str) -> list[dict[str, float]]:
    """Train in processes of their own, and return the figures of every epoch."""
    words = ["-m", "zoo", "train", str(folder / "spec.yaml"), "--data", str(folder / "texts.csv")]
    words += ["--output", str(output), "--threads", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *launcher, *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Best: epoch") == 1  # one of them speaks
    with open(output / "metrics.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """Each with half of every batch: the losses of all epochs are those of one process."""
    lines = [
        f"{'good' if i % 2 else 'bad'} film {i % 7},{'yes' if i % 2 else 'no'}" for i in range(130)
    ]
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    (tmp_path / "spec.yaml").write_text(SPEC)
    one = train(tmp_path, tmp_path / "one")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    two = train(tmp_path, tmp_path / "two", *launcher)
    for name in ("train/loss", "train/top1", "validation/loss", "validation/top1"):
        expected = [figures[name] for figures in one]
        assert [figures[name] for figures in two] == pytest.approx(expected, rel=1e-4)
    assert one[-1]["train/loss"] < one[0]["train/loss"]
    result = json.loads((tmp_path / "two" / "result.json").read_text())
    assert len(result["history"]) == 3


def test_a_process_of_its_own_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody started several."""
    for name in ("WORLD_SIZE", "RANK", "TORCHELASTIC_RUN_ID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    assert Processes.here() == ALONE
    assert ALONE.trainer_options() == {"devices": 1}


def test_what_torchrun_says_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines of four processes."""
    said = {"RANK": 5, "WORLD_SIZE": 8, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 4, "GROUP_RANK": 1}
    for name, value in {**said, "TORCHELASTIC_RUN_ID": "x"}.items():
        monkeypatch.setenv(name, str(value))
    processes = Processes.here()
    assert processes == Processes(rank=5, size=8, local_size=4)
    assert not processes.first
    options = processes.trainer_options()
    assert (options["devices"], options["num_nodes"], options["strategy"]) == (4, 2, "ddp")


def test_what_slurm_says_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its job steps have it; an interactive shell of a job is no training."""
    for name in ("WORLD_SIZE", "RANK", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    said = {"SLURM_NTASKS": 6, "SLURM_PROCID": 0, "SLURM_NTASKS_PER_NODE": 3, "SLURM_JOB_NAME": "a"}
    for name, value in said.items():
        monkeypatch.setenv(name, str(value))
    assert Processes.here() == Processes(rank=0, size=6, local_size=3)
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")
    assert Processes.here() == ALONE

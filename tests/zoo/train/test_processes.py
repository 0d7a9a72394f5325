"""One training in several processes: the same as in one."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment
from PIL import Image
from torch.distributed.run import get_args_parser

import zoo
from zoo.cli import train
from zoo.cli.arguments import make_parser
from zoo.errors import InvalidValue
from zoo.train.processes import ALONE, Processes
from zoo.weights import parse

# Without batch norm, whose statistics each process takes of its own share, and without chance.
SPEC = """\
spec:
  input: {kind: text}
  backbone: {name: text_cnn, embedding_dim: 8, maps: 8, kernel_sizes: [1, 2]}
  head: {name: max}
recipe: {epochs: 3, batch_size: 16, learning_rate: 0.02, augment: [], seed: 1}
"""


# And with all that has a state of its own in each process.
RANDOM_SPEC = """\
spec:
  input: {kind: text}
  backbone: {name: text_cnn, embedding_dim: 8, maps: 8, kernel_sizes: [1, 2]}
  head: {name: max, dropout: 0.3}
recipe: {epochs: 3, batch_size: 16, augment: [word_dropout], average: 0.9, schedule: cosine, seed: 1}
"""
# And with all that a step may do to weights, norms that keep statistics, and gates of one number.
IMAGE_SPEC = """\
spec:
  input: {kind: image, channels: 3, size: [8, 8]}
  backbone: {name: plain_cnn, widths: [4, 8], depths: [1, 1]}
  attention:
    - {name: se, slot: stage, reduction: 2, start: identity}
    - {name: pam, slot: last}
  head: {name: avg}
recipe: {epochs: 3, batch_size: 16, learning_rate: 0.01, gradient_clip: 0.1, channels_last: true, seed: 1}
"""
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def _take_interrupts() -> None:
    """Undo what shells do to processes in the background, and these hand on: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*words: str) -> subprocess.Popen[str]:
    """Start a training in processes of their own, in a group of their own."""
    return subprocess.Popen(
        [sys.executable, *words, "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        start_new_session=True,
        preexec_fn=_take_interrupts,  # noqa: PLW1509 - it takes no lock
    )


def beginning(folder: Path, output: Path) -> list[str]:
    """The words for a new training."""
    words = ["-m", "zoo", "train", str(folder / "spec.yaml"), "--data", str(folder / "texts.csv")]
    return [*words, "--output", str(output)]


def finish(process: subprocess.Popen[str], output: Path) -> list[dict[str, float]]:
    """Wait for the end of a training, and return the figures of every epoch."""
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert said.count("Best: epoch") == 1  # one of them speaks
    assert "sync_dist" not in errors  # the figures are summed over the processes as it is
    with open(output / "metrics.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def write_texts(folder: Path, spec: str, count: int) -> None:
    """Write texts whose first word tells their label, and what is trained on them."""
    lines = [
        f"{'good' if i % 2 else 'bad'} film {i % 7},{'yes' if i % 2 else 'no'}"
        for i in range(count)
    ]
    (folder / "texts.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    (folder / "spec.yaml").write_text(spec)


@pytest.mark.parametrize("how", [(), ("--shard",)], ids=["copies", "shares"])
def test_two_processes_train_as_one(how: tuple[str, ...], tmp_path: Path) -> None:
    """Each with half of every batch, as is noted, and a copy or a share of the model: with the losses of one process."""
    write_texts(tmp_path, SPEC, 130)
    folders = (tmp_path / "one", tmp_path / "two")
    one = finish(start(*beginning(tmp_path, folders[0])), folders[0])
    two = finish(start(*TORCHRUN, "2", *beginning(tmp_path, folders[1]), *how), folders[1])
    for name in ("train/loss", "train/top1", "validation/loss", "validation/top1"):
        expected = [figures[name] for figures in one]
        assert [figures[name] for figures in two] == pytest.approx(expected, rel=1e-4)
    assert one[-1]["train/loss"] < one[0]["train/loss"]
    result = json.loads((tmp_path / "two" / "result.json").read_text())
    assert len(result["history"]) == 3
    for folder, count in zip(folders, (1, 2), strict=True):
        assert json.loads((folder / "run.json").read_text())["processes"] == count
        provenance = parse((folder / "best.safetensors").read_bytes(), "best").metadata[
            "provenance"
        ]
        assert provenance.get("processes", 1) == count


OF_ITS_OWN = """\
import os, sys
from zoo.cli import main
sys.exit(main([word.replace("RANK", os.environ["RANK"]) for word in sys.argv[1:]]))
"""


def test_processes_with_other_data_are_refused(tmp_path: Path) -> None:
    """As if one machine had an older copy: nothing is trained."""
    write_texts(tmp_path, SPEC, 130)
    content = (tmp_path / "texts.csv").read_text()
    (tmp_path / "texts0.csv").write_text(content)
    (tmp_path / "texts1.csv").write_text(content.replace("film 3", "film 8"))
    (tmp_path / "train.py").write_text(OF_ITS_OWN)
    words = ["train", str(tmp_path / "spec.yaml"), "--data", str(tmp_path / "textsRANK.csv")]
    process = start(
        *TORCHRUN, "2", str(tmp_path / "train.py"), *words, "--output", str(tmp_path / "run")
    )
    errors = process.communicate()[1]
    assert process.returncode == 1
    assert "Process 1 was given another data set" in errors
    assert not (tmp_path / "run" / "metrics.csv").exists()


def interrupt_all(launcher: int) -> None:
    """Ctrl-C, which the launcher gets as well and passes on once more."""
    os.killpg(launcher, signal.SIGINT)


def terminate_one(launcher: int) -> None:
    """SIGTERM for one of the processes alone."""
    workers = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    os.kill(int(workers[-1]), signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "how"),
    [(interrupt_all, ()), (terminate_one, ()), (interrupt_all, ("--shard",))],
    ids=["all", "one", "all-shares"],
)
def test_two_processes_stop_inside_an_epoch_and_go_on(
    stop: Callable[[int], None], how: tuple[str, ...], tmp_path: Path
) -> None:
    """Both at the same batch, whoever was asked; and they end as if nobody had stopped them."""
    write_texts(tmp_path, RANDOM_SPEC.replace("average: 0.9, " if how else "", ""), 1500)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = finish(start(*TORCHRUN, "2", *beginning(tmp_path, whole), *how), whole)

    process = start(*TORCHRUN, "2", *beginning(tmp_path, broken), *how)
    while not (broken / "metrics.csv").exists() and process.poll() is None:
        time.sleep(0.02)
    stop(process.pid)
    said, errors = process.communicate()
    assert said.count("Stopped in epoch") == 1, errors
    assert " ".join(["--resume", str(broken), *how]) + "\n" in said
    resumed = ["-m", "zoo", "train", "--resume", str(broken)]
    alone = start(*resumed)
    assert "with 2 processes; resume it with as many" in " ".join(alone.communicate()[1].split())
    figures = finish(start(*TORCHRUN, "2", *resumed, *how), broken)
    times = {"seconds", "samples_per_second"}
    for row, other in zip(figures, expected, strict=True):
        assert {name: row[name] for name in row.keys() - times} == {
            name: other[name] for name in row.keys() - times
        }
    for name in ("best.safetensors", "last.safetensors"):
        tensors, others = (zoo.load(run / name).state_dict() for run in (broken, whole))
        assert all(torch.equal(tensors[name], others[name]) for name in others)


@pytest.mark.slow
def test_shares_of_a_model_are_trained_as_copies_of_it(tmp_path: Path) -> None:
    """The same weights come of it, and the same statistics: those of the first process."""
    generator = torch.Generator().manual_seed(0)
    for number in range(96):
        image = torch.randint(60, (8, 8, 3), generator=generator, dtype=torch.uint8)
        path = tmp_path / "images" / ("light" if number % 2 else "dark") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image + number % 2 * 60).numpy()).save(path)
    (tmp_path / "spec.yaml").write_text(IMAGE_SPEC)
    words = ["-m", "zoo", "train", str(tmp_path / "spec.yaml"), "--data", str(tmp_path / "images")]
    runs = {"copies": [], "shares": ["--shard"]}
    figures = {
        name: finish(
            start(*TORCHRUN, "2", *words, "--output", str(tmp_path / name), *how), tmp_path / name
        )
        for name, how in runs.items()
    }
    for row, other in zip(*figures.values(), strict=True):
        for name in ("train/loss", "validation/loss", "validation/top1"):
            assert row[name] == pytest.approx(other[name], rel=1e-4)
    copies, shares = (zoo.load(tmp_path / name / "last.safetensors").state_dict() for name in runs)
    for name, value in copies.items():
        torch.testing.assert_close(shares[name], value, rtol=1e-3, atol=1e-4)
    assert any("running_mean" in name for name in copies)


def test_torchrun_takes_no_option_for_one_of_its_own() -> None:
    """It takes beginnings of its options for them, even behind the module."""
    parser = make_parser("zoo train", "train")
    train.add_arguments(parser)
    options = [option for action in parser._actions for option in action.option_strings]
    theirs = [option for action in get_args_parser()._actions for option in action.option_strings]
    assert {"--data", "--start-from"} <= set(options)
    assert [one for one in options if any(other.startswith(one) for other in theirs)] == [
        "-h",
        "--help",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("how", [(), ("--shard",)], ids=["copies", "shares"])
def test_the_first_process_s_weights_are_trained(how: tuple[str, ...], tmp_path: Path) -> None:
    """Where another one has others, as if its machine had another file to start with, none of those get in."""
    write_texts(tmp_path, SPEC.replace("0.02", "1.0e-9"), 130)
    (tmp_path / "train.py").write_text(OF_ITS_OWN)
    first = tmp_path / "first"
    finish(start(*beginning(tmp_path, first)), first)
    model = zoo.load(first / "last.safetensors")
    zoo.save(model, tmp_path / "start0.safetensors")
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    zoo.save(model, tmp_path / "start1.safetensors")
    words = [*beginning(tmp_path, tmp_path / "two")[2:], *how]
    words += ["--start-from", str(tmp_path / "startRANK.safetensors")]
    finish(start(*TORCHRUN, "2", str(tmp_path / "train.py"), *words), tmp_path / "two")
    expected = zoo.load(tmp_path / "start0.safetensors").state_dict()
    trained = zoo.load(tmp_path / "two" / "last.safetensors").state_dict()
    torch.testing.assert_close(trained, expected, rtol=0, atol=1e-5)


def test_a_process_of_its_own_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody started several."""
    for name in ("WORLD_SIZE", "RANK", "TORCHELASTIC_RUN_ID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    assert Processes.here() == ALONE


def test_what_torchrun_says_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines of four processes."""
    said = {"RANK": 5, "WORLD_SIZE": 8, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 4, "GROUP_RANK": 1}
    for name, value in {**said, "TORCHELASTIC_RUN_ID": "x"}.items():
        monkeypatch.setenv(name, str(value))
    processes = Processes.here()
    assert processes == Processes(rank=5, size=8, local_size=4)
    assert not processes.first
    assert processes.command("zoo train") == "zoo train (in 8 processes)"
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert Processes.here().command("zoo train") == "torchrun --nproc-per-node 4 -m zoo train"
    assert ALONE.command("zoo train") == "zoo train"


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


def slurm(**said: str) -> dict[str, str]:
    """The environment of a process that SLURM has started, without what others left in it."""
    kept = {name: value for name, value in os.environ.items() if "SLURM" not in name}
    for name in ("WORLD_SIZE", "RANK", "TORCHELASTIC_RUN_ID"):
        kept.pop(name, None)
    return {**kept, "SLURM_PROCID": "3", **{f"SLURM_{name}": value for name, value in said.items()}}


@pytest.mark.parametrize(
    ("said", "local_size", "machines"),
    [
        ({"NTASKS": "8", "NNODES": "2"}, 4, 2),
        ({"NTASKS": "8", "JOB_NUM_NODES": "4"}, 2, 4),
        ({"NTASKS": "8"}, 8, 1),
        ({"NTASKS": "6", "NNODES": "3", "TASKS_PER_NODE": "2(x3)"}, 2, 3),
        ({"NTASKS": "6", "NNODES": "1", "TASKS_PER_NODE": "6"}, 6, 1),
        # A step on one of the job's machines.
        ({"NTASKS": "4", "STEP_TASKS_PER_NODE": "4", "TASKS_PER_NODE": "8(x2)"}, 4, 1),
        ({"NTASKS": "4", "JOB_NUM_NODES": "2", "NTASKS_PER_NODE": "4"}, 4, 1),
    ],
)
def test_slurm_may_say_it_in_other_words(
    said: dict[str, str], local_size: int, machines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody asked for so many processes a machine; Lightning is content with what it is told then."""
    monkeypatch.setattr(os, "environ", slurm(**said))
    processes = Processes.here()
    assert processes == Processes(rank=3, size=int(said["NTASKS"]), local_size=local_size)
    SLURMEnvironment().validate_settings(num_devices=local_size, num_nodes=machines)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"NTASKS": "5", "TASKS_PER_NODE": "2(x2),1"}, r"2\(x2\),1"),
        ({"NTASKS": "3", "TASKS_PER_NODE": "2,1"}, "2,1"),
        ({"NTASKS": "5", "NNODES": "2"}, "2.5"),
        ({"NTASKS": "4", "NTASKS_PER_NODE": "3"}, "3"),
    ],
)
def test_machines_with_more_processes_than_others_are_refused(
    said: dict[str, str], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the options of SLURM that give each as many."""
    monkeypatch.setattr(os, "environ", slurm(**said))
    with pytest.raises(InvalidValue, match=rf"as {shown} to a machine; .* --ntasks-per-node"):
        Processes.here()

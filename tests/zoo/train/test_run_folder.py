"""The folder of a run; what trainings leave in it is tested with them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import zoo
from zoo.errors import InvalidValue
from zoo.train.data.dataset import Data
from zoo.train.fitting import fit
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder, Taken

RESERVE = """
import sys
from pathlib import Path
from zoo.train.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).reserved(resume=True):
    print("free")
"""


def test_a_run_file_of_others_is_refused(folder: Path) -> None:
    """A run.json that does not say what is needed is named."""
    folder.mkdir()
    (folder / "run.json").write_text('{"spec": 1}')
    with pytest.raises(InvalidValue, match="does not say spec, recipe and data"):
        RunFolder(folder).read()


def test_a_folder_without_a_run_is_refused(folder: Path) -> None:
    """One that is not there, and one that holds something else."""
    with pytest.raises(InvalidValue, match=r"holds no run: there is no such folder\.$"):
        RunFolder(folder).read()
    folder.mkdir()
    with pytest.raises(InvalidValue, match=r"holds no run: it has no run\.json\.$"):
        RunFolder(folder).read()


def test_sittings_are_counted(folder: Path) -> None:
    """Each sitting has a folder in the logs."""
    assert RunFolder(folder).sittings == 0
    (folder / "logs" / "sitting_2").mkdir(parents=True)  # the first one's log was deleted
    (folder / "logs" / "notes").touch()
    assert RunFolder(folder).sittings == 2


def test_a_folder_that_is_trained_in_is_not_trained_in_by_another(folder: Path) -> None:
    """Two would write over each other; when the first is done, or dead, it is free again."""
    run = RunFolder(folder)
    with run.reserved(resume=False):
        words = [sys.executable, "-c", RESERVE, str(folder)]
        other = subprocess.run(words, capture_output=True, text=True, check=False)
        assert f"Taken: Another process is training in {folder}" in other.stderr
        with pytest.raises(Taken, match="Wait"), RunFolder(folder).reserved(resume=False):
            pass
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "free\n"


def test_a_reserved_folder_is_handed_on(folder: Path) -> None:
    """Whoever gets the object trains in it; another process has no chance before, meanwhile or after that."""
    run, words = RunFolder(folder), [sys.executable, "-c", RESERVE, str(folder)]

    def check_taken() -> None:
        other = subprocess.run(words, capture_output=True, text=True, check=False)
        assert "Taken: Another process is training" in other.stderr
        with pytest.raises(Taken), RunFolder(folder).reserved(resume=True):
            pass

    with run.reserved(resume=False):
        check_taken()
        with run.reserved(resume=True):
            check_taken()
            (folder / "run.json").touch()
        check_taken()
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "free\n"


def test_a_folder_that_was_reserved_in_vain_is_gone(folder: Path) -> None:
    """Nothing was begun; another's is left."""
    with pytest.raises(ValueError, match="not read"), RunFolder(folder).reserved(resume=False):
        raise ValueError("not read")
    assert not folder.exists()
    folder.mkdir()
    with pytest.raises(ValueError, match="not read"), RunFolder(folder).reserved(resume=False):
        raise ValueError("not read")
    assert folder.exists()  # somebody else made it
    with RunFolder(folder).reserved(resume=False):
        with pytest.raises(Taken), RunFolder(folder).reserved(resume=False):
            pass
        assert folder.exists()


def test_a_run_that_is_trained_is_not_resumed(
    data: Data, new_model: Callable[[], zoo.Model], folder: Path
) -> None:
    """Nor is it begun a second time."""
    recipe, refused = Recipe(epochs=1, batch_size=20), []

    def disturb(_line: str) -> None:
        for resume in (True, False):
            with pytest.raises(Taken, match="Another process is training"):
                fit(new_model(), data, recipe, RunFolder(folder), resume=resume)
            refused.append(resume)

    fit(new_model(), data, recipe, RunFolder(folder), report=disturb)
    assert refused == [True, False]


def test_figures_of_two_who_measure_at_once_are_both_kept(folder: Path) -> None:
    """Each reads what is there, adds its own, and writes all."""
    folder.mkdir()
    run = RunFolder(folder)
    (folder / "run.json").write_text("{}")
    with ThreadPoolExecutor(8) as pool:
        for number in range(40):
            pool.submit(run.keep_evaluation, "digest", {f"{number}/top1": 1.0})
    kept = json.loads((folder / "evaluations.json").read_text())
    assert len(kept["digest"]) == 40


def test_the_command_that_goes_on_can_be_typed() -> None:
    """Whatever the folder is called."""
    command = RunFolder(Path("runs/my run")).resume_command
    assert command == "zoo train --resume 'runs/my run'"

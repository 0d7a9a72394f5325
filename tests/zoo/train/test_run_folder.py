"""The folder of a run; what trainings leave in it is tested with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.errors import InvalidValue
from zoo.train.run_folder import RunFolder


def test_a_run_file_of_others_is_refused(folder: Path) -> None:
    """A run.json that does not say what is needed is named."""
    folder.mkdir()
    (folder / "run.json").write_text('{"spec": 1}')
    with pytest.raises(InvalidValue, match="does not say spec, recipe and data"):
        RunFolder(folder).read()


def test_a_folder_without_a_run_is_refused(folder: Path) -> None:
    """One that is not there, and one that holds something else."""
    with pytest.raises(InvalidValue, match=r"holds no run to resume: there is no such folder\.$"):
        RunFolder(folder).read()
    folder.mkdir()
    with pytest.raises(InvalidValue, match=r"holds no run to resume: it has no run\.json\.$"):
        RunFolder(folder).read()


def test_sittings_are_counted(folder: Path) -> None:
    """Each sitting has a folder in the logs."""
    assert RunFolder(folder).sittings == 0
    (folder / "logs" / "sitting_1").mkdir(parents=True)
    assert RunFolder(folder).sittings == 1

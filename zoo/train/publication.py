"""What a training is published with: the figures of its best epoch, over its seeds where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.errors import InvalidValue
from zoo.train.comparison.rows import make_rows
from zoo.train.comparison.runs import read_run
from zoo.train.run_folder import RunFolder

_DIGITS = 6  # of a share, as in the metrics of a file


def figures_of_runs(folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Accuracies of a training on validation and test, as a registry keeps them.

    Args:
        folders: Of runs that differ by their seed alone. The weights of the first are those to be published.

    Returns:
        By `dataset/split/top1`: the mean, and for several runs the standard deviation, how many they are,
        and the figure of the first as `value`.

    Raises:
        InvalidValue: The runs are different trainings, or one has not ended.
        UnknownName: A figure was measured of some of them only.
    """
    if len(folders) == 1:
        folder = RunFolder(folders[0])
        if folder.is_run and not folder.ended:
            raise InvalidValue(
                f"{folder.path} has not ended. Go on with it ({folder.resume_command}), or publish its best "
                f"epoch so far by naming the file: {folder.model_path('best')}"
            )
        kept = folder.evaluations("best").items()
        data = folder.read()["data"] if kept else ""
        return {
            f"{data}/{name}": {"mean": round(value, _DIGITS), "seeds": 1}
            for name, value in kept
            if name.endswith("/top1")
        }
    runs = [read_run(folder, "best") for folder in folders]
    known = {name for run in runs for name in run.figures}
    figures = {}
    for name in sorted(known & {"validation/top1", "test/top1"}):
        row, *others = make_rows(runs, name)
        if others:
            raise InvalidValue(
                f"{row.runs[0].folder} ({row.title}) and {others[0].runs[0].folder} ({others[0].title}) are "
                "different trainings; runs that are published together differ by their seed alone."
            )
        figures[f"{runs[0].data}/{name}"] = {
            "mean": round(row.mean, _DIGITS),
            "std": round(row.std or 0.0, _DIGITS),
            "seeds": len(row.values),
            "value": round(row.values[0], _DIGITS),
        }
    return figures

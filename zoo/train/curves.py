"""A picture of a training: loss and accuracy of every epoch, as PNG beside the run."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from zoo.files import write_atomically

_SIZE_INCHES, _DOTS_PER_INCH = (9.0, 3.6), 120
_COLOURS, _MARK = {"train": "#8c8c8c", "validation": "#1f6fb4"}, "#d9822b"
_LABELS = {"loss": "loss in nats", "top1": "accuracy in %"}


def draw_curves(
    history: Sequence[dict[str, float]], path: Path, *, title: str, best_epoch: int | None = None
) -> None:
    """Draw the curves of a training.

    Args:
        history: Figures of each epoch: `epoch`, `train/loss`, `validation/loss`, `train/top1`, `validation/top1`.
        path: The PNG to write.
        title: What stands above it.
        best_epoch: Is marked, if given.

    Raises:
        InvalidValue: The file cannot be written.
    """
    from matplotlib.figure import Figure  # without pyplot, which would look for a screen

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    figure.suptitle(title, parse_math=False)
    for axes, measure in zip(figure.subplots(1, 2), _LABELS, strict=True):
        _draw(axes, history, measure)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=_MARK, linewidth=1, linestyle="--", label="best epoch")
        axes.legend(frameon=False)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(path, picture.getvalue())


def _draw(axes: Any, history: Sequence[dict[str, float]], measure: str) -> None:
    epochs = [figures["epoch"] for figures in history]
    scale = 100 if measure == "top1" else 1
    for split, colour in _COLOURS.items():
        values = [scale * figures[f"{split}/{measure}"] for figures in history]
        axes.plot(epochs, values, color=colour, label=split, marker="." if len(epochs) < 40 else "")
    axes.set_xlabel("epoch")
    axes.set_ylabel(_LABELS[measure])
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)

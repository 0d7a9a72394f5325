"""Checkpoints written whole or not at all: a full disk costs the new one, never the one before."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from zoo.errors import InvalidValue, first_line
from zoo.files import write_atomically


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, with our way of writing a file, and of saying that one is damaged."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,  # noqa: ARG002 - Lightning's
    ) -> None:
        """Write a checkpoint.

        Raises:
            InvalidValue: It cannot be written; the file that was there is as before.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getvalue())

    def load_checkpoint(self, path: str | Path, *args: Any, **options: Any) -> Any:
        """Read a checkpoint.

        Raises:
            InvalidValue: It is damaged.
        """
        with reading(path):
            return super().load_checkpoint(path, *args, **options)


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Say of a checkpoint that cannot be read that it is damaged.

    Raises:
        InvalidValue: It is.
    """
    try:
        yield
    except Exception as error:  # what torch raises depends on where the damage is
        why = first_line(error).partition(". ")[0].rstrip(": ")
        raise InvalidValue(
            f"{path} cannot be read, so that the run cannot go on ({why}). Take the file from a copy, or start "
            "another run; the models beside it are files of their own, and not touched."
        ) from None

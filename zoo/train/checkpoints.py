"""Checkpoints written whole or not at all: a full disk costs the new one, never the one before."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from zoo.files import write_atomically


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, with our way of writing a file."""

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

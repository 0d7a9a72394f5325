"""What an epoch has at hand between two batches: the state of everything random, and its sums so far.

Each process has its own; the checkpoint holds those of all, and each takes up its own again.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback

from zoo.errors import InvalidValue, counted
from zoo.train.processes import of_all
from zoo.train.task import precision_of_sums

_KEY = "epoch_state"


class EpochState(Callback):
    """Keep the state of an epoch in the checkpoint, and take it up where the epoch goes on."""

    def __init__(self) -> None:
        self._kept: list[dict[str, Any]] = []

    def on_save_checkpoint(
        self,
        trainer: Any,  # noqa: ARG002 - Lightning's
        pl_module: Any,
        checkpoint: dict[str, Any],
    ) -> None:
        """Add what the processes have."""
        checkpoint[_KEY] = of_all(_state(pl_module))

    def on_load_checkpoint(
        self,
        trainer: Any,  # noqa: ARG002 - Lightning's
        pl_module: Any,  # noqa: ARG002
        checkpoint: dict[str, Any],
    ) -> None:
        """Find what they had; a checkpoint of complete epochs may be older than this."""
        self._kept = checkpoint.get(_KEY, [])

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Take it up, unless an epoch begins.

        Raises:
            InvalidValue: There were more processes, or fewer.
        """
        if not trainer.fit_loop.restarting:
            return
        if len(self._kept) != trainer.world_size:
            raise InvalidValue(
                f"The run was stopped inside an epoch, with {counted(len(self._kept), 'process', 'processes')}; "
                f"resume it with as many, not with {trainer.world_size}."
            )
        _take_up(pl_module, self._kept[trainer.global_rank])


def _state(task: Any) -> dict[str, Any]:
    on_device = task.device.type != "cpu"
    return {
        "global": torch.get_rng_state(),
        "kind": task.device.type,
        "device": torch.get_device_module(task.device).get_rng_state() if on_device else None,
        "augmentation": task.generator.get_state(),
        "mixup": task.random.getstate(),
        "sums": task.sums.cpu(),  # or every process would open every other one's device
    }


def _take_up(task: Any, state: dict[str, Any]) -> None:
    torch.set_rng_state(state["global"])
    # On a device of another kind what is drawn there is drawn anew.
    if state["device"] is not None and state.get("kind", "cuda") == task.device.type:
        torch.get_device_module(task.device).set_rng_state(state["device"])
    task.generator.set_state(state["augmentation"])
    task.random.setstate(state["mixup"])
    task.sums = state["sums"].to(precision_of_sums(task.device)).to(task.device)

"""A model shared out over processes: each has a part of the weights, of their gradients and of the optimizer's state.

That is PyTorch's FSDP (Zhao et al. 2023, arXiv 2304.11277) for what does not fit into each process as a whole. The
weights are put together for every step; the model is one unit, so that its parts may use each other's as they like.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import distributed
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard

from zoo.composition.model import Model
from zoo.train.recipe import Recipe
from zoo.train.task import Task


class SharedTask(Task):
    """Train a model that is shared out over the processes.

    Args:
        model: The same, whole, in all of them.
        recipe: How.
        steps: As of `Task`.
    """

    def __init__(self, model: Model, recipe: Recipe, steps: int) -> None:
        super().__init__(model, recipe, steps)
        self._copy = [deepcopy(model)]  # in a list, or its weights would be trained, too

    def configure_model(self) -> None:
        """Share the model out, now that the processes know each other."""
        self.model.to(memory_format=torch.contiguous_format)  # FSDP knows no other for weights
        fully_shard(self.model, mesh=self.device_mesh["data_parallel"])  # type: ignore[index]  # Lightning's mesh has names

    def on_train_start(self) -> None:
        """Begin without what a checkpoint of the untrained model says of the optimizer."""
        self._forget_no_step()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002 - Lightning's
        """Go on as before the checkpoint."""
        self._forget_no_step()

    def _forget_no_step(self) -> None:
        """Let the first step be the first: to have a state to save or to load into, torch makes one of no length."""
        if self.trainer.global_step == 0:
            for optimizer in self.trainer.optimizers:
                optimizer.state.clear()

    def on_validation_epoch_start(self) -> None:
        """Take the statistics of norms from the first process, as they are saved: each has those of its own samples."""
        super().on_validation_epoch_start()
        for buffer in self.model.buffers():
            distributed.broadcast(buffer, src=0)

    def whole(self) -> Model:
        """The model, put together in the first process; all call this."""
        weights = get_model_state_dict(
            self.model, options=StateDictOptions(full_state_dict=True, cpu_offload=True)
        )
        (copy,) = self._copy
        if weights:
            copy.load_state_dict(weights)
        return copy

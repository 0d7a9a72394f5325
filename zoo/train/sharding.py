"""A model shared out over processes: each has a part of the weights, of their gradients and of the optimizer's state.

That is PyTorch's FSDP (Zhao et al. 2023, arXiv 2304.11277), for models whose optimizer does not fit into each process. The
weights are put together for every step; the model is one unit, so that its parts may use each other's as they like, and
while a step lasts each process has all weights and gradients.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import distributed, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard

from zoo.composition.model import Model
from zoo.train.checkpoints import reading
from zoo.train.processes import Processes
from zoo.train.recipe import Recipe
from zoo.train.task import Task


class SharingStrategy(ModelParallelStrategy):
    """Lightning's, which reads checkpoints by itself; of a damaged one it says what we do."""

    def load_checkpoint(self, checkpoint_path: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            InvalidValue: It is damaged.
        """
        with reading(checkpoint_path):
            return super().load_checkpoint(checkpoint_path, *args, **options)


class SharedTask(Task):
    """Train a model that is shared out over the processes.

    Args:
        model: Whole; that of the first process is trained, as DDP does.
        recipe: How.
        steps: As of `Task`.
    """

    def __init__(self, model: Model, recipe: Recipe, steps: int) -> None:
        super().__init__(model, recipe, steps)
        # To be saved, by the first. In a list, or its weights would be trained, too.
        self._copy = [deepcopy(model)] if Processes.here().first else []
        _give_axes(self.model)

    def configure_model(self) -> None:
        """Share the first process's model out, now that they know each other: each cuts its share out of its own."""
        self.model.to(self.trainer.strategy.root_device)
        self.model.to(memory_format=torch.contiguous_format)  # FSDP knows no other for weights
        for tensor in (*self.model.parameters(), *self.model.buffers()):
            distributed.broadcast(tensor.detach(), src=0)
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
        """The model, put together in the first process; all call this, and the others get their own share."""
        weights = get_model_state_dict(
            self.model, options=StateDictOptions(full_state_dict=True, cpu_offload=True)
        )
        for copy in self._copy:
            copy.load_state_dict(weights)  # which takes a vector of one number for a number
            return copy
        return self.model


def _give_axes(model: nn.Module) -> None:
    """Make vectors of parameters that are one number, such as gates: FSDP cuts along an axis."""
    made: dict[nn.Parameter, nn.Parameter] = {}
    for module in model.modules():
        for name, number in list(module.named_parameters(recurse=False)):
            if not number.ndim:
                vector = nn.Parameter(number.detach().reshape(1), number.requires_grad)
                setattr(module, name, made.setdefault(number, vector))

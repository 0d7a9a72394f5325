"""Several processes that train one model together, as torchrun or SLURM start them."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Processes(NamedTuple):
    """How many processes there are, and which one this is.

    Attributes:
        rank: Number of this one, from 0; the first alone writes files and speaks to people.
        size: How many there are.
        local_size: How many of them are on this machine.
    """

    rank: int
    size: int
    local_size: int

    @classmethod
    def here(cls) -> Processes:
        """Read it from the environment, where torchrun and SLURM leave it."""
        from lightning.fabric.plugins import environments

        known: Any = environments  # which exports them, but not to type checkers
        if known.TorchElasticEnvironment.detect():
            environment, local = known.TorchElasticEnvironment(), "LOCAL_WORLD_SIZE"
        elif known.SLURMEnvironment.detect():
            environment, local = known.SLURMEnvironment(), "SLURM_NTASKS_PER_NODE"
        else:
            return ALONE
        size = environment.world_size()
        return cls(environment.global_rank(), size, int(os.environ.get(local, size)))

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks to people."""
        return self.rank == 0

    def trainer_options(self) -> dict[str, Any]:
        """What Lightning's Trainer is to be told."""
        if self.size == 1:
            return {"devices": 1}
        return {
            "devices": self.local_size,
            "num_nodes": self.size // self.local_size,
            "strategy": "ddp",
            "use_distributed_sampler": False,  # ours deal the batches out themselves
        }


ALONE = Processes(rank=0, size=1, local_size=1)


def of_all(value: T) -> list[T]:
    """The values of all processes, in the order of their ranks; each calls this with its own."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values

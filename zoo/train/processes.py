"""Several processes that train one model together, as torchrun or SLURM start them."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, TypeVar

from zoo.errors import InvalidValue

T = TypeVar("T")
_ASKED = "SLURM_NTASKS_PER_NODE"


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
        """Read it from the environment, where torchrun and SLURM leave it.

        Raises:
            InvalidValue: SLURM has started more of them on one machine than on another.
        """
        known = _environments()
        if known.TorchElasticEnvironment.detect():
            environment = known.TorchElasticEnvironment()
            local_size = int(os.environ.get("LOCAL_WORLD_SIZE", environment.world_size()))
        elif known.SLURMEnvironment.detect():
            local_size = _of_each_machine()
            os.environ[_ASKED] = str(local_size)  # Lightning insists on it
            environment = known.SLURMEnvironment()
        else:
            return ALONE
        return cls(environment.global_rank(), environment.world_size(), local_size)

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks to people."""
        return self.rank == 0

    def command(self, words: str) -> str:
        """A command for people, started as this one was."""
        if self.size == 1:
            return words
        if self.size == self.local_size and _is_torchrun():
            return f"torchrun --nproc-per-node {self.size} -m {words}"
        return f"{words} (in {self.size} processes)"


def _is_torchrun() -> bool:
    return bool(_environments().TorchElasticEnvironment.detect())


def _environments() -> Any:
    from lightning.fabric.plugins import (
        environments,  # which exports them, but not to type checkers
    )

    return environments


ALONE = Processes(rank=0, size=1, local_size=1)


def _of_each_machine() -> int:
    """Processes on each machine, which SLURM says in several ways: of this step of a job, else of the job."""
    said, names = os.environ, ("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE", _ASKED)
    size = int(said["SLURM_NTASKS"])
    machines = int(said.get("SLURM_NNODES", said.get("SLURM_JOB_NUM_NODES", 1)))
    # Such as 2(x3),1: two on each of three machines, and one on the next.
    layout = next((said[name] for name in names if name in said), f"{size / machines:g}")
    local_size, _, rest = layout.partition("(")
    if not local_size.isdecimal() or "," in rest or size % int(local_size):
        raise InvalidValue(
            f"SLURM shares {size} processes out as {layout} to a machine; a training needs as many on each. Ask "
            "for them by --nodes and --ntasks-per-node."
        )
    return int(local_size)


def of_all(value: T) -> list[T]:
    """The values of all processes, in the order of their ranks; each calls this with its own."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values
